//! Soon.
use anyhow::Result;
pub fn image(_: &crate::cli::ImageOptions) -> Result<u8> {
    Ok(1)
}
