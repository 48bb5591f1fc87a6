//! Weights of PyTorch in `.safetensors`, for a model that is there.
//!
//! A [`Map`] tells which tensor an array is; without one it is the tensor of its own name. What is called as PyTorch calls it,
//! `stem.weight`, is turned into the engine's order of axes; what is called as the engine calls it, `stem/kernel`, is in that order.

mod layout;
mod map;

pub use map::Map;

use super::keras::{Loaded, Which, owners};
use super::{Cause, ImportError, WeightProblem};
use ::safetensors::tensor::TensorView;
use ::safetensors::{Dtype, SafeTensors};
use bantam::{Model, Node, Parameter};
use half::{bf16, f16};
use layout::{Flattened, Turn};
use std::collections::HashSet;
use std::path::Path;

/// Gives a model the weights of a file.
///
/// # Errors
/// The file cannot be read, is damaged, or its weights are not the model's: all that is missing, left over or of another shape is
/// named, and so is every key of the map that fits nothing. The model is then as it was.
pub fn load_weights(
    model: &mut Model<'_>,
    path: impl AsRef<Path>,
    map: &Map,
    which: Which,
) -> Result<Loaded, ImportError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Cause::Unreadable);
    bytes.and_then(|bytes| read_weights(model, &bytes, map, which)).map_err(|cause| cause.in_file(path))
}

/// As [`load_weights`], of a file's bytes.
///
/// ```
/// use bantam::Sequential;
/// use bantam_tools::import::keras::Which;
/// use bantam_tools::import::safetensors::{Map, read_weights};
/// let mut header = br#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#.to_vec();
/// let mut file = (header.len() as u64).to_le_bytes().to_vec();
/// file.append(&mut header);
/// file.extend([2.0f32, -1.0].iter().flat_map(|weight| weight.to_le_bytes()));
///
/// let mut model = Sequential::new([2]).dense(1).build(1)?;
/// let map = Map::parse(br#"{"dense": "fc", "dense/bias": null}"#)?;
/// let loaded = read_weights(&mut model, &file, &map, Which::All)?;
/// assert_eq!((&loaded.loaded[..], model.weights("dense")?[0].values()), (&["dense".into()][..], &[2.0, -1.0][..]));
/// # Ok::<(), bantam_tools::import::Cause>(())
/// ```
///
/// # Errors
/// As [`load_weights`].
pub fn read_weights(model: &mut Model<'_>, bytes: &[u8], map: &Map, which: Which) -> Result<Loaded, Cause> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| Cause::damaged("safetensors", error))?;
    let flattened = Flattened::of(model);
    let (mut loaded, mut problems) = (Loaded::default(), Vec::new());
    let (mut taken, mut values) = (HashSet::new(), Vec::new());
    for node in owners(model) {
        let mut arrays = Vec::new();
        let mut absent = Vec::new();
        for parameter in model.parameters_of(node) {
            let names = map.tensors_of(node.name(), parameter.name());
            let found = names.iter().find_map(|name| Some((name, file.tensor(name).ok()?)));
            match found {
                Some((name, tensor)) => {
                    taken.insert(name.clone());
                    match array(node, parameter, name, &tensor, &flattened) {
                        Ok(values) => arrays.push(values),
                        Err(problem) => problems.push(problem),
                    }
                }
                // It stays as it is.
                None if names.is_empty() => arrays.push(parameter.values().to_vec()),
                None => absent.push((format!("{}/{}", node.name(), parameter.name()), names)),
            }
        }
        if absent.is_empty() {
            loaded.loaded.push(node.name().into());
            values.push((node.name().to_string(), arrays));
        } else if which == Which::OfBoth && absent.len() == model.parameters_of(node).len() {
            loaded.missing.push(node.name().into());
        } else {
            problems.extend(absent.into_iter().map(|(name, sought)| WeightProblem::Sought {
                name,
                sought,
                nearest: None,
            }));
        }
    }
    loaded.extra = file
        .names()
        .into_iter()
        .filter(|name| !taken.contains(*name) && !counts(name))
        .map(str::to_string)
        .collect();
    loaded.extra.sort();
    for problem in problems.iter_mut().take(MAX_COMPARED) {
        if let WeightProblem::Sought { sought, nearest, .. } = problem {
            *nearest = nearest_to(sought, &loaded.extra);
        }
    }
    let arrays: Vec<(&str, &str)> = owners(model).flat_map(|node| names(model, node)).collect();
    problems.extend(map.idle(&arrays).into_iter().map(|key| WeightProblem::Key { key: key.into() }));
    loaded.check(which, problems)?;
    // All is read before anything is changed.
    for (name, values) in values {
        let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        model.set_weights(&name, &values)?;
    }
    Ok(loaded)
}

/// Of so many missing arrays the nearest name is told, among so many names that are no longer.
const MAX_COMPARED: usize = 16;
const MAX_NAMES: usize = 1024;
const MAX_NAME: usize = 96;

/// The names of a node and its arrays.
fn names<'a>(model: &'a Model<'_>, node: &'a Node<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    model.parameters_of(node).iter().map(|parameter| (node.name(), parameter.name()))
}

/// Whether a tensor is one of PyTorch's numbers of batches, of which no sum depends.
fn counts(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// The values of an array of a node.
fn array(
    node: &Node<'_>,
    parameter: &Parameter<'_>,
    tensor_name: &str,
    tensor: &TensorView<'_>,
    flattened: &Flattened,
) -> Result<Vec<f32>, WeightProblem> {
    let name = format!("{}/{}", node.name(), parameter.name());
    let shape = parameter.shape();
    let last = tensor_name.rsplit(['/', '.']).next().unwrap_or_default();
    let turn = (last != parameter.name())
        .then(|| Turn::new(node, parameter.name(), shape.dims(), tensor.shape().len(), flattened));
    if turn.is_some() && matches!(node.layer_type().name(), "LSTM" | "GRU") {
        let got =
            format!("{tensor_name}, whose gates are PyTorch's: save it from a model of Keras or as ONNX");
        return Err(WeightProblem::Arrays { name, expected: "an array of Keras".into(), got });
    }
    let expected = turn.as_ref().map_or(shape.dims(), |turn| &turn.shape);
    let same = tensor.shape() == expected
        // One slope, or one for each channel.
        || (parameter.name() == "alpha" && [1, shape.elements()].contains(&tensor.shape().iter().product()));
    if !same {
        let (expected, got) = (expected.to_vec(), tensor.shape().to_vec());
        return Err(WeightProblem::Shape { name: format!("{name}, {tensor_name}"), expected, got });
    }
    let values = numbers(tensor).map_err(|got| WeightProblem::Kind { name, got })?;
    Ok(match turn {
        _ if values.len() == 1 => vec![values[0]; shape.elements()],
        Some(turn) if tensor.shape() == turn.shape => turn.apply(&values),
        _ => values,
    })
}

/// Of any kind of floating-point number, wherever they begin.
fn numbers(tensor: &TensorView<'_>) -> Result<Vec<f32>, String> {
    fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
    }
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Ok(all(bytes, f32::from_le_bytes)),
        Dtype::F16 => Ok(all(bytes, |bytes| f16::from_le_bytes(bytes).to_f32())),
        Dtype::BF16 => Ok(all(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        Dtype::F64 => Ok(all(bytes, |bytes| f64::from_le_bytes(bytes) as f32)),
        other => Err(format!("{other:?}")),
    }
}

/// The tensor that is called the most like one that was sought.
fn nearest_to(sought: &[String], left: &[String]) -> Option<String> {
    let sought = sought.last().filter(|name| name.len() <= MAX_NAME)?;
    let near = left.iter().take(MAX_NAMES).filter(|name| name.len() <= MAX_NAME);
    near.min_by_key(|name| distance(name, sought)).cloned()
}

/// How many letters have to be put in, left out or changed to make one name of another (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
