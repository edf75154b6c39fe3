use crate::support::binary::{Workdir, refusal_of};

#[tokio::test]
async fn flag_wins_over_variable_over_file_over_default() {
    let workdir = Workdir::new();
    workdir.write(
        "tallycast.toml",
        "listen = \"127.0.0.1:1001\"\nadmin_listen = \"127.0.0.1:1001\"\n\
         ledger = \"sqlite:of-the-file.db\"\nconnections_max = 5\n\
         allowed_origins = [\"https://of-the.file\"]\n",
    );
    let output = workdir
        .command([
            "check-config",
            "--config",
            "tallycast.toml",
            "--listen",
            "127.0.0.1:1003",
        ])
        .args(["--jwt-secret-file", "secret.txt"])
        .env("TALLYCAST_LISTEN", "127.0.0.1:1002")
        .env("TALLYCAST_ADMIN_LISTEN", "127.0.0.1:1002")
        .env("TALLYCAST_CONNECTIONS_MAX", "6")
        .env(
            "TALLYCAST_ALLOWED_ORIGINS",
            "https://a.example, https://b.example",
        )
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    for (line, origin) in [
        ("listen = \"127.0.0.1:1003\"", "# flag"),
        ("admin_listen = \"127.0.0.1:1002\"", "# environment"),
        ("connections_max = 6", "# environment"),
        (
            "allowed_origins = [\"https://a.example\",\"https://b.example\"]",
            "# environment",
        ),
        ("ledger = \"sqlite:of-the-file.db\"", "# tallycast.toml"),
        ("drain_seconds = 10", "# default"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        assert!(
            found.is_some_and(|found| found.ends_with(origin)),
            "{line} {origin}:\n{shown}"
        );
    }
}

#[tokio::test]
async fn shown_configuration_can_be_used() {
    let workdir = Workdir::new();
    let shown = workdir
        .prints(&["check-config", "--jwt-secret-file", "secret.txt"])
        .await;
    workdir.write("shown.toml", &shown);
    let again = workdir
        .prints(&["check-config", "--config", "shown.toml"])
        .await;
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" # ").next().unwrap().trim().to_owned())
            .collect()
    };
    assert_eq!(values(&shown), values(&again));
}

#[tokio::test]
async fn secret_is_not_shown() {
    let workdir = Workdir::new();
    let secret = "a secret that is long enough for us";
    let output = workdir
        .command(["check-config"])
        .env("TALLYCAST_JWT_SECRET", secret)
        .output()
        .await;
    let output = output.unwrap();
    assert!(output.status.success());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("jwt_secret = "));
    assert!(!shown.contains(secret));
}

#[tokio::test]
async fn unknown_keys_are_named() {
    let workdir = Workdir::new();
    workdir.write("wrong.toml", "lisen = \"127.0.0.1:1\"\n");
    let (line, code) = workdir.refusal(&["serve", "--config", "wrong.toml"]).await;
    assert!(
        line.contains("wrong.toml") && line.contains("\"lisen\""),
        "{line}"
    );
    assert_eq!(code, 2);

    let output = workdir
        .command(["serve"])
        .env("TALLYCAST_LISEN", "x")
        .output()
        .await
        .unwrap();
    let (line, code) = refusal_of(&output);
    assert!(
        line.contains("environment") && line.contains("\"lisen\""),
        "{line}"
    );
    assert_eq!(code, 2);

    let (line, code) = workdir.refusal(&["serve", "--lisen", "x"]).await;
    assert!(line.contains("--lisen"), "{line}");
    assert_eq!(code, 2);
}

/// What Kubernetes sets in every container of a namespace, for a service named like the server and for others whose
/// names begin like it.
const SERVICE_VARIABLES: &[(&str, &str)] = &[
    ("TALLYCAST_SERVICE_HOST", "10.0.0.1"),
    ("TALLYCAST_SERVICE_PORT", "3000"),
    ("TALLYCAST_SERVICE_PORT_HTTP", "3000"),
    ("TALLYCAST_PORT", "tcp://10.0.0.1:3000"),
    ("TALLYCAST_PORT_3000_TCP", "tcp://10.0.0.1:3000"),
    ("TALLYCAST_PORT_3000_TCP_PROTO", "tcp"),
    ("TALLYCAST_PORT_3000_TCP_PORT", "3000"),
    ("TALLYCAST_PORT_3000_TCP_ADDR", "10.0.0.1"),
    ("TALLYCAST_METRICS_SERVICE_HOST", "10.0.0.2"),
    ("TALLYCAST_METRICS_SERVICE_PORT", "80"),
    ("TALLYCAST_METRICS_SERVICE_PORT_WEB_UI_2", "80"),
    ("TALLYCAST_METRICS_PORT", "tcp://10.0.0.2:80"),
    ("TALLYCAST_METRICS_PORT_80_TCP", "tcp://10.0.0.2:80"),
    ("TALLYCAST_METRICS_PORT_80_TCP_PROTO", "tcp"),
    ("TALLYCAST_METRICS_PORT_80_TCP_PORT", "80"),
    ("TALLYCAST_METRICS_PORT_80_TCP_ADDR", "10.0.0.2"),
    ("TALLYCAST_DNS_V6_SERVICE_HOST", "fd00::53"),
    ("TALLYCAST_DNS_V6_PORT", "udp://[fd00::53]:53"),
    ("TALLYCAST_DNS_V6_PORT_53_UDP", "udp://[fd00::53]:53"),
    ("TALLYCAST_DNS_V6_PORT_53_UDP_PROTO", "udp"),
    ("TALLYCAST_DNS_V6_PORT_53_UDP_PORT", "53"),
    ("TALLYCAST_DNS_V6_PORT_53_UDP_ADDR", "fd00::53"),
    ("TALLYCAST_CALLS_PORT_9_SCTP", "sctp://10.0.0.3:9"),
    // A service whose own name ends like a variable.
    ("TALLYCAST_PORT_PORT", "tcp://10.0.0.4:80"),
    ("TALLYCAST_SERVICE_PORT_SERVICE_PORT", "80"),
];

#[tokio::test]
async fn variables_of_kubernetes_are_not_ours() {
    let workdir = Workdir::new();
    let output = workdir
        .command(["check-config", "--jwt-secret-file", "secret.txt"])
        .envs(SERVICE_VARIABLES.iter().copied())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains("# environment"), "{shown}");
}

#[tokio::test]
async fn a_variable_that_only_resembles_those_of_kubernetes_is_an_unknown_key() {
    let workdir = Workdir::new();
    for (name, value) in [
        // What somebody writes who takes it for a setting.
        ("TALLYCAST_PORT", "8080"),
        ("TALLYCAST_PORT", "0.0.0.0:8080"),
        ("TALLYCAST_ADMIN_PORT", "9090"),
        ("TALLYCAST_SERVICE_HOST", "localhost"),
        ("TALLYCAST_SERVICE_PORT", "http"),
        ("TALLYCAST_SERVICE_PORT", "0"),
        ("TALLYCAST_SERVICE_PORT", "65536"),
        ("TALLYCAST_SERVICE_PORT_", "80"),
        ("TALLYCAST_METRICS_PORT", "http://10.0.0.1:80"),
        ("TALLYCAST_METRICS_PORT", "tcp://metrics:80"),
        ("TALLYCAST_METRICS_PORT", "tcp://10.0.0.1"),
        ("TALLYCAST_METRICS_PORT", "tcp://10.0.0.1:80/"),
        ("TALLYCAST_METRICS_PORT_80_TCP", "udp://10.0.0.1:80"),
        ("TALLYCAST_METRICS_PORT_80_TCP", "tcp://10.0.0.1:81"),
        ("TALLYCAST_METRICS_PORT_80_HTTP", "tcp://10.0.0.1:80"),
        ("TALLYCAST_METRICS_PORT_80_TCP_PROTO", "udp"),
        ("TALLYCAST_METRICS_PORT_80_TCP_PORT", "81"),
        ("TALLYCAST_METRICS_PORT_80_TCP_ADDR", "metrics"),
        ("TALLYCAST_METRICS_PORT_80_TCP_NAME", "metrics"),
        ("TALLYCAST_PORTS", "tcp://10.0.0.1:80"),
        ("TALLYCAST_METRICSPORT", "tcp://10.0.0.1:80"),
    ] {
        let check = ["check-config", "--jwt-secret-file", "secret.txt"];
        let output = workdir.command(check).env(name, value).output().await;
        let (line, code) = refusal_of(&output.unwrap());
        let key = name.strip_prefix("TALLYCAST_").unwrap().to_lowercase();
        let expected = format!("environment: unknown key {key:?}");
        assert!(line.contains(&expected), "{name}={value}: {line}");
        assert_eq!(code, 2);
    }
}

/// The keys of all settings, as an error lists them.
async fn all_keys(workdir: &Workdir) -> Vec<String> {
    workdir.write("unknown.toml", "lisen = 1\n");
    let args = ["check-config", "--config", "unknown.toml"];
    let (line, _) = workdir.refusal(&args).await;
    let (_, keys) = line.split_once("the keys are ").expect("they are listed");
    let keys: Vec<String> = keys.split(", ").map(str::to_owned).collect();
    assert!(keys.len() >= 20, "{keys:?}");
    keys
}

#[tokio::test]
async fn an_empty_value_is_an_error_that_names_its_key() {
    let workdir = Workdir::new();
    let refused = async |mut command: tokio::process::Command, origin: &str, key: &str| {
        let (line, code) = refusal_of(&command.output().await.unwrap());
        // clap refuses an empty path by itself, and names the flag.
        let flag = format!("--{}", key.replace('_', "-"));
        let is_named = line.contains(&format!("{origin}: {key} is empty"))
            || (origin == "flag" && line.contains(&format!("{flag} is empty")));
        assert!(is_named, "{origin}, {key}: {line}");
        assert_eq!(code, 2, "{line}");
    };
    for key in all_keys(&workdir).await {
        let variable = format!("TALLYCAST_{}", key.to_uppercase());
        let flag = format!("--{}", key.replace('_', "-"));
        for empty in ["", " "] {
            let mut command = workdir.command(["check-config"]);
            command.env(&variable, empty);
            refused(command, "environment", &key).await;

            workdir.write("empty.toml", &format!("{key} = \"{empty}\"\n"));
            let command = workdir.command(["check-config", "--config", "empty.toml"]);
            refused(command, "empty.toml", &key).await;
        }
        // The secret has no flag.
        if key != "jwt_secret" {
            let command = workdir.command(["check-config", &flag, ""]);
            refused(command, "flag", &key).await;
        }
    }
    for list in ["\"\"", "\"https://a.example\", \"\""] {
        workdir.write("list.toml", &format!("allowed_origins = [{list}]\n"));
        let command = workdir.command(["check-config", "--config", "list.toml"]);
        refused(command, "list.toml", "allowed_origins").await;
    }
    for list in [",", "https://a.example,,https://b.example"] {
        let mut command = workdir.command(["check-config"]);
        command.env("TALLYCAST_ALLOWED_ORIGINS", list);
        refused(command, "environment", "allowed_origins").await;
        let command = workdir.command(["check-config", "--allowed-origins", list]);
        refused(command, "flag", "allowed_origins").await;
    }
}

#[tokio::test]
async fn an_empty_variable_or_flag_of_a_command_is_an_error_that_names_it() {
    let workdir = Workdir::new();
    workdir.write("empty.txt", "\n");
    for (args, variable, named) in [
        (&["check-config"] as &[&str], "TALLYCAST_CONFIG", "--config"),
        (&["token", "--sub", "a"], "TALLYCAST_CONFIG", "--config"),
        (
            &["watch", "alice", "--token", "x"],
            "TALLYCAST_URL",
            "--url",
        ),
        (
            &["export", "alice", "--token", "x"],
            "TALLYCAST_URL",
            "--url",
        ),
        (&["watch", "alice"], "TALLYCAST_TOKEN", "TALLYCAST_TOKEN"),
        (&["export", "alice"], "TALLYCAST_TOKEN", "TALLYCAST_TOKEN"),
        (
            &["replay", "f", "--to", "http://a"],
            "TALLYCAST_TOKEN",
            "TALLYCAST_TOKEN",
        ),
        (
            &["bench", "--to", "http://a"],
            "TALLYCAST_TOKEN",
            "TALLYCAST_TOKEN",
        ),
        (
            &["replay", "f", "--token", "x", "--to", ""],
            "TALLYCAST_TOKEN",
            "--to",
        ),
        (
            &["bench", "--token", "x", "--to", ""],
            "TALLYCAST_TOKEN",
            "--to",
        ),
        (
            &["watch", "alice", "--token", ""],
            "TALLYCAST_TOKEN",
            "--token",
        ),
        (
            &["watch", "alice", "--token-file", "empty.txt"],
            "TALLYCAST_TOKEN",
            "empty.txt",
        ),
    ] {
        let output = workdir.command(args).env(variable, "").output().await;
        let (line, code) = refusal_of(&output.unwrap());
        assert!(
            line.contains(named) && line.contains("empty"),
            "{args:?}: {line}"
        );
        assert_eq!(code, 2, "{line}");
    }
}

#[tokio::test]
async fn wrong_values_are_told_in_one_line() {
    let workdir = Workdir::new();
    workdir.write("short.txt", "short");
    workdir.write("wrong.toml", "connections_max = \"many\"\n");
    workdir.write("broken.toml", "listen = \n");
    let key = ["--jwt-secret-file", "secret.txt"];
    for (args, culprit) in [
        (&["--config", "missing.toml"] as &[&str], "missing.toml"),
        (&["--config", "broken.toml"], "broken.toml"),
        (&["--config", "wrong.toml"], "connections_max"),
        (&[], "--jwt-secret-file"),
        (&["--jwt-secret-file", "missing.txt"], "missing.txt"),
        (&["--jwt-secret-file", "short.txt"], "short.txt"),
        (
            &[
                "--jwt-secret-file",
                "secret.txt",
                "--jwt-jwks-file",
                "short.txt",
            ],
            "jwt_jwks_file",
        ),
        (&["--jwt-public-key-file", "short.txt"], "short.txt"),
        (
            &[&key, ["--ledger", "postgres"].as_slice()].concat(),
            "postgres",
        ),
        (
            &[&key, ["--allowed-origins", "example.com"].as_slice()].concat(),
            "example.com",
        ),
        (
            &[&key, ["--tls-key-file", "secret.txt"].as_slice()].concat(),
            "tls_certificate_file",
        ),
        (
            &[
                &key,
                [
                    "--tls-key-file",
                    "secret.txt",
                    "--tls-certificate-file",
                    "none.pem",
                ]
                .as_slice(),
            ]
            .concat(),
            "none.pem",
        ),
        (
            &[&key, ["--log-level", "a=b=c"].as_slice()].concat(),
            "log_level",
        ),
        (&[&key, ["--log", "xml"].as_slice()].concat(), "--log"),
    ] {
        let (line, code) = workdir
            .refusal(&[["serve"].as_slice(), args].concat())
            .await;
        assert!(
            line.starts_with("tallycast: ") && line.contains(culprit),
            "{args:?}: {line}"
        );
        assert_eq!(code, 2, "{line}");
    }
}
