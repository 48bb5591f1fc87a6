//! Which tensor of a file an array of the model is.

use crate::import::{Cause, Unsupported};
use serde_json::Value as Json;
use std::collections::HashSet;

/// Names of the model's layers or arrays, and those that a file has for them.
///
/// A map is an object of JSON. A key is a layer, `"stem"`, or one of its arrays, `"stem/kernel"`; its value is the module or the
/// tensor of the file, `"conv1"` or `"conv1.weight"`, or `null`: the model keeps what it has there. In both `{n}` is a whole number,
/// by any name, to which a value may add or from which it may take something, and one `*` is anything. The first key that
/// fits counts, those of arrays before those of layers:
///
/// ```
/// use bantam_tools::import::safetensors::Map;
/// let map = Map::parse(br#"{
///     "conv1_conv": "conv1",
///     "conv{s}_block{b}_{i}_conv/bias": null,
///     "conv{s}_block{b}_{i}_conv": "layer{s-1}.{b-1}.conv{i}",
///     "predictions": "fc"
/// }"#)?;
/// assert_eq!(map.tensors_of("conv2_block1_3_conv", "kernel"), ["layer1.0.conv3.weight"]);
/// # Ok::<(), bantam_tools::import::Cause>(())
/// ```
///
/// Without a map, and for what none of its keys fits, an array is the tensor of its own name, as `bantam export` writes it,
/// `"stem/kernel"`, or as PyTorch calls it, `"stem.weight"`.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    ours: Vec<Part>,
    /// Whether the key names one array.
    of_array: bool,
    /// None keeps what the model has.
    theirs: Option<Vec<Part>>,
}

/// A part of a name's pattern.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// A number of that name, and what is added to it.
    Number(String, i64),
    Anything,
}

/// What a pattern's numbers and its `*` stand for.
#[derive(Clone, Default)]
struct Found<'t> {
    numbers: Vec<(String, i64)>,
    anything: &'t str,
}

/// What PyTorch calls an array.
pub(super) fn in_torch(array: &str) -> &str {
    match array {
        "kernel" | "gamma" | "alpha" | "depthwise_kernel" | "pointwise_kernel" => "weight",
        "beta" => "bias",
        "moving_mean" => "running_mean",
        "moving_variance" => "running_var",
        other => other,
    }
}

impl Map {
    /// Reads a map.
    ///
    /// # Errors
    /// It is no object of JSON of names, or a name is no pattern; all that are none are told.
    pub fn parse(json: &[u8]) -> Result<Map, Cause> {
        let json: Json = serde_json::from_slice(json).map_err(|error| Cause::damaged("map", error))?;
        let names = json.as_object().ok_or_else(|| {
            Cause::damaged(
                "map",
                "expected an object of names, such as {\"stem\": \"conv1\"}, got something else",
            )
        })?;
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for (key, theirs) in names {
            match Entry::new(key, theirs) {
                Ok(entry) => entries.push(entry),
                Err(what) => problems.push(Unsupported { name: key.clone(), what, advice: String::new() }),
            }
        }
        if problems.is_empty() { Ok(Map { entries }) } else { Err(Cause::Unsupported(problems)) }
    }

    /// The names that an array of a layer may have in a file: none if it stays as it is.
    pub fn tensors_of(&self, layer: &str, array: &str) -> Vec<String> {
        match self.entry_of(layer, array) {
            Some((entry, found)) => entry.name(&found, array).into_iter().collect(),
            None => {
                vec![format!("{layer}/{array}"), format!("{}.{}", layer.replace('/', "."), in_torch(array))]
            }
        }
    }

    /// The first entry that fits.
    fn entry_of<'t>(&self, layer: &'t str, array: &'t str) -> Option<(&Entry, Found<'t>)> {
        let of_array = self.entries.iter().filter(|entry| entry.of_array).find_map(|entry| {
            // The array's name stands at the end, and what is before it is the layer.
            let (Part::Text(end), rest) = entry.ours.split_last()? else { return None };
            let before = Part::Text(end.strip_suffix(array)?.strip_suffix('/')?.into());
            Some((entry, fits(&[rest, &[before]].concat(), layer)?))
        });
        of_array.or_else(|| {
            let mut layers = self.entries.iter().filter(|entry| !entry.of_array);
            layers.find_map(|entry| Some((entry, fits(&entry.ours, layer)?)))
        })
    }

    /// Keys that fit no array of a model.
    pub(super) fn idle(&self, arrays: &[(&str, &str)]) -> Vec<&str> {
        let used =
            arrays.iter().filter_map(|(layer, array)| Some(self.entry_of(layer, array)?.0.key.as_str()));
        let used: HashSet<&str> = used.collect();
        self.entries.iter().map(|entry| entry.key.as_str()).filter(|key| !used.contains(key)).collect()
    }
}

/// The arrays that a key may name.
const ARRAYS: [&str; 11] = [
    "kernel",
    "bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "depthwise_kernel",
    "pointwise_kernel",
    "recurrent_kernel",
    "alpha",
    "mean",
];

impl Entry {
    fn new(key: &str, theirs: &Json) -> Result<Entry, String> {
        let ours = parts(key)?;
        let theirs = match theirs {
            Json::Null => None,
            Json::String(name) => Some(parts(name)?),
            other => return Err(format!("expected a name or null, got {other}")),
        };
        if ours.iter().any(|part| matches!(part, Part::Number(_, more) if *more != 0)) {
            return Err("expected sums in values alone, got one in a key".into());
        }
        let known = |part: &Part| match part {
            Part::Text(_) => true,
            Part::Number(name, _) => {
                ours.iter().any(|ours| matches!(ours, Part::Number(known, _) if known == name))
            }
            Part::Anything => ours.contains(&Part::Anything),
        };
        if theirs.iter().flatten().any(|part| !known(part)) {
            return Err("expected numbers and `*` that the key has, got others".into());
        }
        let of_array = ARRAYS.iter().any(|array| key.ends_with(&format!("/{array}")));
        Ok(Entry { key: key.into(), ours, of_array, theirs })
    }

    fn name(&self, found: &Found<'_>, array: &str) -> Option<String> {
        let mut name = String::new();
        for part in self.theirs.as_ref()? {
            match part {
                Part::Text(text) => name += text,
                Part::Number(number, more) => {
                    let value =
                        found.numbers.iter().find(|(known, _)| known == number).map_or(0, |found| found.1);
                    name += &value.saturating_add(*more).to_string();
                }
                Part::Anything => name += found.anything,
            }
        }
        Some(if self.of_array { name } else { format!("{name}.{}", in_torch(array)) })
    }
}

/// The parts of a pattern.
fn parts(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '*']) {
        let (text, special) = rest.split_at(at);
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        if let Some(after) = special.strip_prefix('*') {
            if parts.contains(&Part::Anything) {
                return Err(format!("expected one `*`, got several in {pattern}"));
            }
            parts.push(Part::Anything);
            rest = after;
            continue;
        }
        let (inside, after) = special[1..]
            .split_once('}')
            .ok_or_else(|| format!("expected a }} behind the {{ of {pattern}, got none"))?;
        parts.push(
            number(inside)
                .ok_or_else(|| format!("expected a number such as {{n}} or {{n-1}}, got {{{inside}}}"))?,
        );
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    Ok(parts)
}

/// `n`, `n+1` or `n-1`.
fn number(inside: &str) -> Option<Part> {
    let at = inside.find(['+', '-']).unwrap_or(inside.len());
    let (name, more) = inside.split_at(at);
    let more = if more.is_empty() { 0 } else { more.parse::<i64>().ok()? };
    let letters = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    (letters && more.unsigned_abs() <= 1 << 20).then(|| Part::Number(name.into(), more))
}

/// What the parts stand for, if they are the whole of a name.
fn fits<'t>(parts: &[Part], name: &'t str) -> Option<Found<'t>> {
    match parts.iter().position(|part| *part == Part::Anything) {
        None => {
            let (found, rest) = begins(parts, name, Found::default())?;
            rest.is_empty().then_some(found)
        }
        Some(at) => {
            let (found, rest) = begins(&parts[..at], name, Found::default())?;
            // The shortest that fits.
            (0..=rest.len()).filter(|&end| rest.is_char_boundary(end)).find_map(|end| {
                let found = Found { anything: &rest[..end], ..found.clone() };
                let (found, rest) = begins(&parts[at + 1..], &rest[end..], found)?;
                rest.is_empty().then_some(found)
            })
        }
    }
}

/// What parts without a `*` stand for at the beginning of a name, and its rest. A number that is there twice is the same.
fn begins<'t>(parts: &[Part], name: &'t str, mut found: Found<'t>) -> Option<(Found<'t>, &'t str)> {
    let mut rest = name;
    for part in parts {
        match part {
            Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
            Part::Number(number, _) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let value: i64 = rest[..digits].parse().ok()?;
                rest = &rest[digits..];
                match found.numbers.iter().find(|(known, _)| known == number) {
                    Some((_, known)) if *known != value => return None,
                    Some(_) => {}
                    None => found.numbers.push((number.clone(), value)),
                }
            }
            Part::Anything => return None,
        }
    }
    Some((found, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(map: &str, layer: &str, array: &str) -> Vec<String> {
        Map::parse(map.as_bytes()).unwrap().tensors_of(layer, array)
    }

    #[test]
    fn the_first_key_that_fits_counts_and_arrays_come_before_layers() {
        let map = r#"{"a*": "x*", "*": "model.*", "a1/bias": "b", "b{n}_{n}/kernel": null, "c{n}": "c{n+10}.{n-1}"}"#;
        assert_eq!(names(map, "a1", "kernel"), ["x1.weight"]);
        assert_eq!(names(map, "a1", "bias"), ["b"]);
        assert_eq!(names(map, "b", "gamma"), ["model.b.weight"]);
        assert!(names(map, "b2_2", "kernel").is_empty());
        assert_eq!(names(map, "b2_3", "kernel"), ["model.b2_3.weight"]);
        assert_eq!(names(map, "c7", "moving_variance"), ["model.c7.running_var"], "an earlier key fits");
        assert_eq!(names(r#"{"c{n}": "c{n+10}.{n-1}"}"#, "c7", "beta"), ["c17.6.bias"]);
        assert_eq!(names("{}", "block/conv", "kernel"), ["block/conv/kernel", "block.conv.weight"]);
    }

    #[test]
    fn what_is_no_map_is_told() {
        let error = |map: &str| Map::parse(map.as_bytes()).unwrap_err().to_string();
        assert!(error("[]").contains("expected an object of names"));
        assert!(error("{").contains("map: "));
        let all = error(
            r#"{"a{": "b", "c": 3, "d*": "e{n}", "f{n-1}": "g", "h*i*": "j", "k{1}": "l", "m{n": "o"}"#,
        );
        for name in ["a{", "c", "d*", "f{n-1}", "h*i*", "k{1}", "m{n"] {
            assert!(all.contains(&format!("\"{name}\": expected ")), "{name}: {all}");
        }
        assert_eq!(
            names(r#"{"a{n}": "b{n}"}"#, "a99999999999999999999", "bias").len(),
            2,
            "no such number fits"
        );
    }
}
