use super::error::{Cause, Unsupported};
use std::fmt::Display;

/// Attention has two of them: queries and keys, and what comes of these and values.
pub const NO_PRODUCT_OF_MAPS: &str = "no layer multiplies two maps with each other, as attention does";

/// Why an operator or weights are refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub what: String,
    pub advice: String,
    /// Whether the file is broken, rather than the engine too small.
    pub damaged: bool,
    /// Where the damage is, in bytes from the start, if that is known.
    pub offset: Option<u64>,
}

impl Refused {
    pub fn new(what: impl Into<String>) -> Refused {
        Refused { what: what.into(), advice: String::new(), damaged: false, offset: None }
    }

    pub fn damaged(what: impl Into<String>) -> Refused {
        Refused { damaged: true, ..Refused::new(what) }
    }

    pub fn expected_got(what: &str, expected: impl Display, got: impl Display) -> Refused {
        Refused::new(format!("{what}: expected {expected}, got {got}"))
    }

    /// Of a product that is not one of a map and a constant matrix: its factors are maps of these shapes, or none.
    pub fn product(maps: [Option<String>; 2]) -> Refused {
        let (got, advice) = match maps {
            [Some(first), Some(second)] => (format!("two maps, {first} and {second}"), NO_PRODUCT_OF_MAPS),
            [None, Some(second)] => {
                let advice = "write it as the transposed map times the transposed constant";
                (format!("a constant and a map, {second}"), advice)
            }
            [_, None] => ("no map".into(), ""),
        };
        Refused::expected_got("factors", "a map and a constant matrix", got).advice(advice)
    }

    pub fn advice(self, advice: &str) -> Refused {
        Refused { advice: advice.into(), ..self }
    }

    /// Of what has that name.
    pub fn of(self, name: &str) -> Cause {
        if self.damaged {
            return Cause::Damaged { what: name.into(), offset: self.offset, problem: self.what };
        }
        Cause::Unsupported(vec![self.part(name)])
    }

    pub fn part(self, name: &str) -> Unsupported {
        Unsupported { name: name.into(), what: self.what, advice: self.advice }
    }
}
