//! The secret of a lab: 128 random bits in a file that only its owner can read.
//!
//! Invariant: it never appears in an argument list, a log, or a `Debug` text.

use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;

/// What a caller must show: `Authorization: Bearer <secret>`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A new secret from the operating system's generator.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> io::Result<Secret> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
        Ok(Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads the secret that `save` wrote.
    ///
    /// # Errors
    /// When the file cannot be read, is open to other users, or what it holds is no secret.
    pub fn load(path: &Path) -> io::Result<Secret> {
        let mut file = files::open(path)?;
        files::check_private(path, &file.metadata()?)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let secret = text.trim();
        // It has to stand in a header.
        match !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Secret(secret.to_owned())),
            false => {
                let why = format!("{} is not a secret; the next daemon of the lab makes a new one", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, why))
            }
        }
    }

    /// Writes the secret to a file of mode 0600, in one step: a reader sees the old file or the whole new one.
    ///
    /// # Errors
    /// When the folder cannot be written or the disk is full.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        files::write_private(path, format!("{}\n", self.0).as_bytes())
    }

    /// The value of the `Authorization` header.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a header's value proves knowledge of the secret. Takes the same time for every wrong value of the
    /// right length.
    pub fn admits(&self, header: &[u8]) -> bool {
        is_same(self.header().as_bytes(), header)
    }

    /// Whether this text is the secret, likewise.
    pub fn is(&self, shown: &str) -> bool {
        is_same(self.0.as_bytes(), shown.as_bytes())
    }
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_itself_and_nothing_else() {
        let secret = Secret::generate().unwrap();
        assert!(secret.admits(secret.header().as_bytes()));
        assert!(!secret.admits(b""));
        assert!(!secret.admits(b"Bearer "));
        assert!(!secret.admits(Secret::generate().unwrap().header().as_bytes()));
    }

    #[test]
    fn debug_does_not_tell() {
        let secret = Secret::generate().unwrap();
        assert!(!format!("{secret:?}").contains(&secret.header()[7..]));
    }
}
