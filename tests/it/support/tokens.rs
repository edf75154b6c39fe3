//! Keys and tokens, valid and forged.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A secret of 32 bytes.
pub(crate) const SECRET: &str = "a secret of 32 bytes, not random";
/// Another one.
pub(crate) const OTHER_SECRET: &str = "another secret of 32 bytes, also";

/// Seconds since 1970, `ahead` of now.
pub(crate) fn seconds(ahead: i64) -> i64 {
    Timestamp::now().as_second() + ahead
}

/// Claims of alice for an hour, with `changes` on top; a change to `null` removes the claim.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({ "sub": "alice", "exp": seconds(3600) });
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A token of `header` and `claims`, whatever they are, signed by `key`.
pub(crate) fn token(header: &Value, claims: &Value, key: &Key) -> String {
    token_of_text(&header.to_string(), &claims.to_string(), key)
}

/// The same from texts, for JSON that `Value` cannot hold.
pub(crate) fn token_of_text(header: &str, claims: &str, key: &Key) -> String {
    let message = format!("{}.{}", base64_url(header), base64_url(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", base64_url(signature))
}

/// A token signed by this key, but as RS512 or HS512.
pub(crate) fn sha512_token(claims: &Value, key: &Key) -> String {
    let sign = |name: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let header = json!({ "alg": name }).to_string();
        let message = format!("{}.{}", base64_url(header), base64_url(claims.to_string()));
        let signature = sign(message.as_bytes());
        format!("{message}.{}", base64_url(signature))
    };
    match key {
        Key::Secret(secret) => {
            let key = hmac::Key::new(hmac::HMAC_SHA512, secret);
            sign("HS512", &|message| {
                hmac::sign(&key, message).as_ref().to_vec()
            })
        }
        Key::Rsa(key) => sign("RS512", &|message| rsa(key, &RSA_PKCS1_SHA512, message)),
        _ => panic!("only for RSA keys and secrets"),
    }
}

/// A valid HS256 token.
pub(crate) fn hs256(claims: &Value) -> String {
    token(&json!({ "alg": "HS256" }), claims, &Key::secret(SECRET))
}

/// A token that may record for every account.
pub(crate) fn producer() -> String {
    bearer(json!({ "sub": "shop", "scope": "record", "accounts": "*" }))
}

/// A token that may watch every account.
pub(crate) fn watcher() -> String {
    bearer(json!({ "sub": "support", "scope": "watch", "accounts": "*" }))
}

/// A token that may do everything, everywhere.
pub(crate) fn admin() -> String {
    bearer(json!({ "sub": "root", "scope": "watch record push admin", "accounts": "*" }))
}

/// A token for alice, with changes to its claims.
pub(crate) fn bearer(changes: Value) -> String {
    hs256(&claims(changes))
}

pub(crate) fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Something that signs.
pub(crate) enum Key {
    /// Signs nothing.
    None,
    Secret(Vec<u8>),
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub(crate) fn secret(secret: impl AsRef<[u8]>) -> Self {
        Self::Secret(secret.as_ref().to_vec())
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(crate) fn p384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self::Ec(EcdsaKeyPair::generate(algorithm).unwrap())
    }

    /// The public half in PEM.
    pub(crate) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", self.public_der().as_ref())
    }

    /// The whole pair in PEM.
    pub(crate) fn private_pem(&self) -> String {
        match self {
            Self::Ed(key) => pem("PRIVATE KEY", key.to_pkcs8().unwrap().as_ref()),
            _ => panic!("only for Ed25519"),
        }
    }

    fn public_der(&self) -> PublicKeyX509Der<'static> {
        match self {
            Self::Ed(key) => key.public_key().as_der().unwrap(),
            Self::Ec(key) => key.public_key().as_der().unwrap(),
            Self::Rsa(key) => key.public_key().as_der().unwrap(),
            Self::None | Self::Secret(_) => panic!("it has no public half"),
        }
    }

    /// The public half as a JWK with this `kid`.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ed(key) => json!({
                "kid": kid, "kty": "OKP", "crv": "Ed25519", "use": "sig",
                "x": base64_url(key.public_key()),
            }),
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({
                    "kid": kid, "kty": "EC", "crv": "P-256", "alg": "ES256",
                    "x": base64_url(&point[1..33]), "y": base64_url(&point[33..]),
                })
            }
            Self::Rsa(key) => json!({
                "kid": kid, "kty": "RSA", "alg": "RS256",
                "n": base64_url(key.public_key().modulus().big_endian_without_leading_zero()),
                "e": base64_url(key.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::None | Self::Secret(_) => panic!("it has no public half"),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Ec(key) => {
                let random = SystemRandom::new();
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Rsa(key) => rsa(key, &RSA_PKCS1_SHA256, message),
        }
    }
}

fn rsa(key: &RsaKeyPair, padding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), message, &mut signature)
        .unwrap();
    signature
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
