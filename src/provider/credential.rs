//! Who we are to a cloud, for the length of one request.

use secrecy::SecretString;

/// A short-lived copy of a credential. Its debug output shows no secret: `SecretString` sees to that.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A key pair, with a token when it is temporary.
    Key {
        /// The public half.
        access_key: String,
        /// The secret half.
        secret_key: SecretString,
        /// The token of a temporary key.
        security_token: Option<SecretString>,
        /// The account the key belongs to: Huawei's domain id, AWS's account number.
        account: Option<String>,
    },
    /// A bearer token, such as Huawei's X-Auth-Token.
    Token(SecretString),
}
