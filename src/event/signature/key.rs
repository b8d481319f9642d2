//! The public key of a certificate, and the one thing that is done with it: raising a number to its power.
//!
//! Both versions of the signature need that raw operation, version 1 to open its secret. Nothing here is secret, so it
//! need not take the same time for every number.

use num_bigint::BigUint;
use x509_parser::{pem::parse_x509_pem, public_key::PublicKey as Kind};

/// Bytes of a certificate at most; a real one has two thousand.
pub const CERTIFICATE_BYTES: usize = 64 << 10;
/// Bits of a modulus. EventBridge began with 1024: the certificate is Alibaba Cloud's choice, not ours.
const BITS: std::ops::RangeInclusive<u64> = 1024..=8192;
/// The smallest exponent. Powers of 3 can be forged wherever not every byte of the number is given, as in version 1.
const EXPONENT: u32 = 65_537;
/// SHA-256 as RFC 8017 writes it before a digest (section 9.2, note 1).
pub(super) const SHA256: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// Why a certificate is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// It is too large.
    #[error("it has more than {CERTIFICATE_BYTES} bytes")]
    TooLarge,
    /// It is no certificate.
    #[error("it is no X.509 certificate in PEM")]
    Form,
    /// Its key is of another kind.
    #[error("its key is not RSA")]
    Kind,
    /// Its key is too weak, or so large that it would keep us busy.
    #[error("its key has not 1024 to 8192 bits, or an exponent below 65537 or above 32 bits")]
    Strength,
}

/// The public key of a certificate.
///
/// The certificate's own dates and issuer are not looked at, as the vendor's library does not: what vouches for it is
/// the HTTPS host it is fetched from.
#[derive(Clone, Debug)]
pub struct PublicKey {
    modulus: BigUint,
    exponent: BigUint,
    bytes: usize,
}

impl PublicKey {
    /// The key of a certificate in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadCertificate> {
        if pem.len() > CERTIFICATE_BYTES {
            return Err(BadCertificate::TooLarge);
        }
        let (_, pem) = parse_x509_pem(pem).map_err(|_| BadCertificate::Form)?;
        let certificate = pem.parse_x509().map_err(|_| BadCertificate::Form)?;
        let key = certificate.public_key().parsed().map_err(|_| BadCertificate::Form)?;
        let Kind::RSA(key) = key else { return Err(BadCertificate::Kind) };
        let (modulus, exponent) = (BigUint::from_bytes_be(key.modulus), BigUint::from_bytes_be(key.exponent));
        let is_odd = modulus.bit(0) && exponent.bit(0);
        let fits = exponent >= BigUint::from(EXPONENT) && exponent.bits() <= 32;
        if !BITS.contains(&modulus.bits()) || !is_odd || !fits {
            return Err(BadCertificate::Strength);
        }
        let bytes = modulus.bits().div_ceil(8) as usize;
        Ok(Self { modulus, exponent, bytes })
    }

    /// The SHA-256 digest that is signed, where this is a signature at all: every byte before it is as it has to be.
    pub(super) fn signed_digest(&self, signature: &[u8]) -> Option<[u8; 32]> {
        self.opened(signature)?.strip_prefix(&SHA256)?.try_into().ok()
    }

    /// What was closed with the private key, out of its padding (RFC 8017, block type 1). The padding fills the whole
    /// block, so a long one around few bytes cannot be had by chance.
    pub(super) fn opened(&self, closed: &[u8]) -> Option<Vec<u8>> {
        let number = BigUint::from_bytes_be(closed);
        if closed.len() != self.bytes || number >= self.modulus {
            return None;
        }
        let block = number.modpow(&self.exponent, &self.modulus).to_bytes_be();
        // The first byte of the block is zero, which a number does not show.
        let padded = block.strip_prefix(&[1]).filter(|_| block.len() == self.bytes - 1)?;
        let padding = padded.iter().take_while(|byte| **byte == 0xff).count();
        let (padding, rest) = padded.split_at_checked(padding)?;
        rest.strip_prefix(&[0]).filter(|_| padding.len() >= 8).map(<[u8]>::to_vec)
    }
}
