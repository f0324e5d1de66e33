//! Soon.
use anyhow::Result;
pub fn bench(_: &crate::cli::BenchOptions) -> Result<u8> {
    Ok(1)
}
