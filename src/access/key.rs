use std::{borrow::Cow, collections::HashSet};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;

/// Why a key cannot be used. The message tells what to do, and contains nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(Cow<'static, str>);

impl KeyError {
    fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }

    pub(super) fn endless() -> Self {
        Self::new("a token needs an end; give the grant one with expiring_at")
    }
}

/// The shortest HS256 secret, in bytes. RFC 7518 section 3.2 requires the length of the hash; a shorter secret can
/// be found by search.
const SECRET_BYTES_MIN: usize = 32;

/// The shortest RSA modulus, in bytes (2,048 bits): RFC 7518 section 3.3.
const RSA_BYTES_MIN: usize = 256;

/// An uncompressed point on P-256: a tag and two coordinates of 32 bytes.
const P256_POINT_BYTES: usize = 65;

/// The most keys of a JWKS. Real ones have a handful.
const JWKS_KEYS_MAX: usize = 100;

/// A key and the one algorithm that it verifies, whatever algorithm the token's header names.
pub(super) struct VerifyingKey {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl VerifyingKey {
    pub(super) fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        check_secret(secret)?;
        Ok(Self::new(
            Algorithm::HS256,
            DecodingKey::from_secret(secret),
        ))
    }

    pub(super) fn public_pem(pem: &[u8]) -> Result<Self, KeyError> {
        // The PEM reader would accept a private key as a public one.
        if contains(pem, b"PRIVATE KEY") {
            return Err(KeyError::new(
                "this is a private key; give only its public half (openssl pkey -pubout)",
            ));
        }
        if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            return Ok(Self::new(Algorithm::EdDSA, key));
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            check_p256(&key)?;
            return Ok(Self::new(Algorithm::ES256, key));
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(pem)
            && !contains(pem, b"CERTIFICATE")
        {
            let bytes = key.try_get_as_bytes().map_or(0, <[u8]>::len);
            check_rsa(bytes)?;
            return Ok(Self::new(Algorithm::RS256, key));
        }
        Err(KeyError::new(
            "not a public key in PEM; an Ed25519, P-256 or RSA key in a PUBLIC KEY block is needed",
        ))
    }

    /// What a token's header may call the algorithm.
    pub(super) fn algorithm_names(&self) -> &'static [&'static str] {
        names(self.algorithm)
    }

    fn new(algorithm: Algorithm, decoding: DecodingKey) -> Self {
        Self {
            id: None,
            algorithm,
            decoding,
        }
    }
}

/// The names of an algorithm in tokens and keys.
fn names(algorithm: Algorithm) -> &'static [&'static str] {
    match algorithm {
        Algorithm::HS256 => &["HS256"],
        Algorithm::ES256 => &["ES256"],
        Algorithm::RS256 => &["RS256"],
        // RFC 9864 deprecates the first, which also covers another curve. With an Ed25519 key they are the same.
        Algorithm::EdDSA => &["EdDSA", "Ed25519"],
        _ => &[],
    }
}

/// Chooses the cryptography implementation. If another dependency of the embedder enables a second one, the library
/// would otherwise panic. An earlier choice is kept.
pub(super) fn choose_crypto() {
    let _earlier_choice = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

pub(super) fn check_secret(secret: &[u8]) -> Result<(), KeyError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyError::new(format!(
            "the secret has {} bytes; HS256 needs at least {SECRET_BYTES_MIN} random ones \
             (openssl rand -base64 32)",
            secret.len(),
        )));
    }
    Ok(())
}

/// Refuses a previous secret beside a public key: tokens signed by HS256 would then be accepted where only the
/// issuer should sign.
pub(super) fn check_rotation(keys: &[VerifyingKey]) -> Result<(), KeyError> {
    if keys.iter().any(|key| key.algorithm != Algorithm::HS256) {
        return Err(KeyError::new(
            "a previous secret can only be combined with a secret; rotate public keys with a JWKS",
        ));
    }
    Ok(())
}

/// The keys of a JWKS that verify signatures. Keys for other uses, and kinds that we do not support, are ignored, as
/// RFC 7517 section 5 requires.
pub(super) fn jwks(json: &str) -> Result<Vec<VerifyingKey>, KeyError> {
    #[derive(Deserialize)]
    struct Jwks {
        keys: Vec<serde_json::Value>,
    }
    let set: Jwks = serde_json::from_str(json)
        .map_err(|_| KeyError::new(r#"not a JWKS; JSON of the form {"keys": […]} is needed"#))?;
    if set.keys.len() > JWKS_KEYS_MAX {
        return Err(KeyError::new(
            "a JWKS of over 100 keys; give only those in use",
        ));
    }
    let keys: Vec<VerifyingKey> = set.keys.into_iter().filter_map(from_jwk).collect();
    if keys.is_empty() {
        return Err(KeyError::new(
            "the JWKS has no key for EdDSA (Ed25519), ES256 or RS256 signatures",
        ));
    }
    let ids: HashSet<&Option<String>> = keys.iter().map(|key| &key.id).collect();
    if ids.len() < keys.len() || (keys.len() > 1 && ids.contains(&None)) {
        return Err(KeyError::new(
            "the keys of a JWKS need a kid each, all different, so that a token can name its key",
        ));
    }
    Ok(keys)
}

fn from_jwk(value: serde_json::Value) -> Option<VerifyingKey> {
    // The library's type does not know every name.
    let stated = value.get("alg").cloned();
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return None;
    }
    let algorithm = algorithm_of(&jwk)?;
    let is_for = |stated: &str| names(algorithm).contains(&stated);
    if stated.is_some_and(|stated| !stated.as_str().is_some_and(is_for)) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    Some(VerifyingKey {
        id: jwk.common.key_id,
        algorithm,
        decoding,
    })
}

/// The algorithm of this kind of key; `None` if we do not support the kind. Symmetric keys are never accepted: a JWKS
/// is public.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Some(Algorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        // A base64 character holds six bits.
        AlgorithmParameters::RSA(key) if key.n.len() * 6 >= RSA_BYTES_MIN * 8 => {
            Some(Algorithm::RS256)
        }
        _ => None,
    }
}

fn check_p256(key: &DecodingKey) -> Result<(), KeyError> {
    let point = key.try_get_as_bytes().unwrap_or_default();
    if point.len() != P256_POINT_BYTES {
        return Err(KeyError::new(
            "an EC key of another curve than P-256; ES256 needs P-256 (prime256v1)",
        ));
    }
    Ok(())
}

fn check_rsa(der_bytes: usize) -> Result<(), KeyError> {
    if der_bytes < RSA_BYTES_MIN {
        return Err(KeyError::new(
            "an RSA key of under 2,048 bits can be broken; use a longer one, or Ed25519",
        ));
    }
    Ok(())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
