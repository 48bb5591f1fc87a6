//! Errors tell numbers without the formatting of floats, which would fill a chip's flash.

use bantam::Error;

fn printed(got: f32) -> String {
    let text = Error::OutOfRange { what: "rate", expected: "less than 1", got }.to_string();
    text.strip_prefix("rate: expected less than 1, got ").unwrap().to_string()
}

#[test]
fn numbers_are_told_to_six_decimals() {
    for (number, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (3.7, "3.7"),
        (-0.5, "-0.5"),
        (0.000_001, "0.000001"),
        (0.000_000_1, "0"),
        (0.999_999_94, "1"),
        (-1.999_999_9, "-2"),
        (20.0625, "20.0625"),
        (16_777_216.0, "16777216"),
        (999_999_936.0, "999999936"),
        (1e9, "beyond 1000000000"),
        (-3e38, "beyond -1000000000"),
        (f32::INFINITY, "infinity"),
        (f32::NEG_INFINITY, "-infinity"),
        (f32::NAN, "NaN"),
    ] {
        assert_eq!(printed(number), text);
    }
}
