use alloc::vec::Vec;
use bantam::Error;

/// A class that an image may be of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction<'a> {
    /// Its number.
    pub class: usize,
    /// Its name; empty, where no names are known.
    pub name: &'a str,
    /// Its probability, or what else the output says of it.
    pub probability: f32,
}

/// The `top` most probable classes of an output, the most probable first; of equal ones the first class first. The names are a
/// model's [`class_names`](bantam::Metadata::class_names), or none.
///
/// ```
/// use bantam_zoo::decode_predictions;
/// let names = ["cat".into(), "dog".into(), "fox".into()];
/// let best = decode_predictions(&[0.2, 0.1, 0.7], &names, 2)?;
/// assert_eq!([best[0].name, best[1].name], ["fox", "cat"]);
/// # Ok::<(), bantam::Error>(())
/// ```
///
/// # Errors
/// There are names, but not one for each number of the output, or the output holds a NaN.
pub fn decode_predictions<'a>(
    output: &[f32],
    names: &'a [alloc::string::String],
    top: usize,
) -> Result<Vec<Prediction<'a>>, Error> {
    if !names.is_empty() && names.len() != output.len() {
        return Err(Error::OutOfRange {
            what: "class names",
            expected: "none, or one for each number of the output",
            got: names.len() as f32,
        });
    }
    if let Some(index) = output.iter().position(|probability| probability.is_nan()) {
        return Err(Error::NotFinite { what: "output", sample: 0, index, got: output[index] });
    }
    let of = |(class, &probability): (usize, &f32)| {
        let name = names.get(class).map_or("", |name| name.as_str());
        Prediction { class, name, probability }
    };
    let mut predictions: Vec<Prediction<'a>> = output.iter().enumerate().map(of).collect();
    // The sort leaves equal ones in their order.
    predictions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    predictions.truncate(top);
    Ok(predictions)
}
