//! `echo`: text to `out`.

use crate::Misuse;
use alloc::string::String;

/// What `echo` with these arguments shows.
pub fn echo(arguments: &[String]) -> String {
    match arguments.split_first() {
        Some((first, rest)) if first == "-n" => rest.join(" "),
        _ => arguments.join(" ") + "\n",
    }
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    helve::print!("{}", echo(arguments));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        assert_eq!(echo(&["a".into(), "b  c".into()]), "a b  c\n");
        assert_eq!(echo(&["-n".into(), "a".into()]), "a");
        assert_eq!(echo(&[]), "\n");
    }
}
