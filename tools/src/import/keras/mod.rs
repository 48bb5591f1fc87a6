//! Models and weights of Keras.
//!
//! | file | written by | what comes of it |
//! | --- | --- | --- |
//! | `.keras` | `model.save`, Keras 2.12 and later | a model, by [`import`](super::import()) |
//! | `.h5` | `model.save`, Keras 2 and 3 | a model, by [`import`](super::import()) |
//! | `.weights.h5` | `model.save_weights`, Keras 2.12 and later | the weights of a model, by [`load_weights`] |
//! | `.h5` | `model.save_weights`, `keras.applications`, Keras 1 and 2 | the weights of a model, by [`load_weights`] |
//!
//! Nodes are called as Keras's layers; an activation inside a layer is a node behind it, `conv2d/relu`. Models within models
//! are laid out in one: their layers keep their names where these are unique, and are else `model/conv2d`. The second call of
//! a layer is `conv2d:1`, with the same weights.

mod archive;
mod assembly;
mod calls;
mod config;
mod hdf5;
mod layers;
mod load;
mod optimizer;
mod site;
mod store;

pub(crate) use assembly::snake_case;
pub(crate) use load::owners;
pub use load::{Loaded, Which, load_weights, read_weights};
pub use optimizer::Resumed;

use super::{
    Cause, Format, Import, ImportError, ImportOptions, Unsupported, WEIGHTS_ALONE, WeightProblem, format_of,
};
use archive::Archive;
use assembly::{Assembly, Source};
use bantam::{GraphBuilder, Metadata, Model, Parameter, Shape};
use config::LayerConfig;
use hdf5::{Array, Hdf5};
use serde_json::Value as Json;
use site::Tensor;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use store::{Absent, Store};

/// An open file.
struct File {
    weights: Hdf5,
    /// The model's configuration, and where it is in the file.
    config: Option<(&'static str, Vec<u8>)>,
    /// How it was trained, if that is not in the configuration.
    training: Option<String>,
    version: String,
    format: &'static str,
}

impl File {
    fn open(path: &Path) -> Result<File, Cause> {
        match format_of(path)? {
            Format::KerasArchive => File::of_archive(archive::open(path)?),
            Format::KerasHdf5 => File::of_hdf5(Hdf5::open(path)?),
            #[allow(unreachable_patterns, reason = "there are formats of other programs")]
            _ => Err(Cause::Foreign {
                found: "another format than Keras's",
                advice: "expected is .keras or .h5",
            }),
        }
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<File, Cause> {
        match Format::of(&bytes)? {
            Format::KerasArchive => File::of_archive(archive::from_bytes(&bytes)?),
            _ => File::of_hdf5(Hdf5::from_bytes(bytes)?),
        }
    }

    fn of_archive(archive: Archive) -> Result<File, Cause> {
        let metadata = json("metadata.json", &archive.metadata)?;
        let version = metadata.get("keras_version").and_then(Json::as_str).unwrap_or_default().into();
        let config = Some(("config.json", archive.config));
        let format = "Keras archive (.keras)";
        Ok(File { weights: archive.weights, config, training: None, version, format })
    }

    fn of_hdf5(weights: Hdf5) -> Result<File, Cause> {
        let root = weights.root()?;
        let config = hdf5::text(&root, "HDF5 file", "model_config")?;
        let config = config.map(|config| ("attribute model_config", config.into_bytes()));
        let version = hdf5::text(&root, "HDF5 file", "keras_version")?.unwrap_or_default();
        let training = hdf5::text(&root, "HDF5 file", "training_config")?;
        Ok(File { weights, config, training, version, format: "Keras HDF5 (.h5)" })
    }

    fn import(self, options: &ImportOptions) -> Result<Import, Cause> {
        Ok(self.model(options)?.0)
    }

    /// With the weights that learn, in the order in which Keras lists them.
    fn model(&self, options: &ImportOptions) -> Result<(Import, Vec<Learnt>), Cause> {
        model(&self.weights, &self.config()?, &self.version, self.format, options)
    }

    fn config(&self) -> Result<Json, Cause> {
        match &self.config {
            Some((what, config)) => json(what, config),
            None => Err(Cause::Foreign { found: "weights of Keras without a model", advice: WEIGHTS_ALONE }),
        }
    }

    fn resume(self, options: &ImportOptions) -> Result<Resumed, Cause> {
        let (import, learnt) = self.model(options)?;
        let training = match &self.training {
            Some(training) => Some(json("attribute training_config", training.as_bytes())?),
            None => self.config()?.get("compile_config").cloned(),
        };
        optimizer::resume(import, &learnt, training.as_ref(), major(&self.version), &self.weights)
    }
}

/// An array of weights that learns.
struct Learnt {
    /// The layer and the array: `conv2d/kernel`.
    name: String,
    /// Its number among the model's parameters.
    parameter: usize,
    shape: Shape,
}

fn json(what: &str, bytes: &[u8]) -> Result<Json, Cause> {
    serde_json::from_slice(bytes).map_err(|error| Cause::damaged(what, error))
}

/// Reads a model.
pub(super) fn import(path: &Path, options: &ImportOptions) -> Result<Import, Cause> {
    File::open(path)?.import(options)
}

/// Reads a model of a file's bytes, `.keras` or `.h5`.
///
/// # Errors
/// As [`import`](super::import()).
pub fn read(bytes: Vec<u8>, options: &ImportOptions) -> Result<Import, Cause> {
    File::from_bytes(bytes)?.import(options)
}

/// Reads a model and the optimiser that trained it, with all that it remembers, so that training goes on as it would have in
/// Keras: to the same next step. Files are those of Keras 3, and `.h5` of Keras 2.
///
/// ```no_run
/// use bantam::{Loss, Trainer};
/// use bantam_tools::import::{ImportOptions, keras};
/// let resumed = keras::resume("flowers.keras", &ImportOptions::new())?;
/// let (mut model, optimizer) = (resumed.import.model, resumed.optimizer);
/// let mut trainer = Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(20);
/// # Ok::<(), bantam_tools::Failure>(())
/// ```
///
/// # Errors
/// As [`import`](super::import()); or the file has no optimiser, or one that the engine has not; or what is
/// remembered is not of the model's weights.
pub fn resume(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Resumed, ImportError> {
    let path = path.as_ref();
    File::open(path).and_then(|file| file.resume(options)).map_err(|cause| cause.in_file(path))
}

/// As [`resume`], of a file's bytes.
///
/// # Errors
/// As [`resume`].
pub fn read_resumed(bytes: Vec<u8>, options: &ImportOptions) -> Result<Resumed, Cause> {
    File::from_bytes(bytes)?.resume(options)
}

/// The first number of a version; 1 did not say any.
fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(1)
}

fn model(
    weights: &Hdf5,
    config: &Json,
    version: &str,
    format: &str,
    options: &ImportOptions,
) -> Result<(Import, Vec<Learnt>), Cause> {
    let layer = LayerConfig::new(config)?;
    if major(version) < 2 {
        let what = "a model of Keras 1, whose layers have other arguments".into();
        let advice = "load and save it with Keras 2, or build it here and load its weights".into();
        return Err(Cause::Unsupported(vec![Unsupported { name: layer.name.into(), what, advice }]));
    }
    let store = Store::new(weights)?;
    let graph = GraphBuilder::new();
    let mut assembly = Assembly::new(&graph, &store, options, major(version) < 3);
    (assembly.report.format, assembly.report.producer) = (format.into(), Some(format!("Keras {version}")));
    let outputs = assembly.whole(&layer)?;
    options.check_dimensions(std::mem::take(&mut assembly.open))?;
    if !assembly.problems.is_empty() {
        return Err(Cause::Unsupported(assembly.problems));
    }
    let mut report = std::mem::take(&mut assembly.report);
    let variables = assembly.sources_as_listed();
    let variables: Vec<(&str, &'static str)> = variables
        .iter()
        .flat_map(|source| source.variables.iter().map(|variable| (source.node.as_str(), variable.array)))
        .collect();
    let mut found = find(&store, &assembly.sources)?;
    let left = store.left();
    report.left_out.extend(left.into_iter().map(|path| format!("{path}: weights of no layer")));
    if has_regularizers(config) {
        report.notes.push("regularizers are not taken along: Trainer::regularizer".into());
    }
    let mut model = build(&graph, &outputs, &mut found)?;
    assembly.frozen.iter().try_for_each(|name| model.set_trainable(name, false))?;
    let notes = vec![("source".into(), format!("Keras {version}"))];
    model.set_metadata(&Metadata { notes, ..Metadata::default() })?;
    let learnt = learnt(&model, &variables)?;
    Ok((Import { model, report }, learnt))
}

/// Those of a model's arrays that learn.
fn learnt(model: &Model<'_>, variables: &[(&str, &'static str)]) -> Result<Vec<Learnt>, Cause> {
    let numbers: HashMap<*const Parameter<'_>, usize> = model
        .parameters()
        .iter()
        .enumerate()
        .map(|(number, parameter)| (std::ptr::from_ref(parameter), number))
        .collect();
    let mut learnt = Vec::new();
    for &(layer, array) in variables {
        let node = model.node(layer)?;
        let of_node = model.parameters_of(node).iter().find(|parameter| parameter.name() == array);
        if let Some(parameter) = of_node.filter(|parameter| node.is_trainable() && parameter.is_trainable()) {
            let name = format!("{layer}/{array}");
            learnt.push(Learnt {
                name,
                parameter: numbers[&std::ptr::from_ref(parameter)],
                shape: parameter.shape(),
            });
        }
    }
    Ok(learnt)
}

fn has_regularizers(config: &Json) -> bool {
    let text = config.to_string();
    ["kernel_regularizer", "bias_regularizer"].iter().any(|key| text.contains(&format!("\"{key}\":{{")))
}

/// An array of a node: in the file, or given.
enum Found<'s> {
    Array(&'s Array),
    Values(Vec<f32>),
    Fill(f32),
}

/// The arrays of all nodes, by the names of node and array. What is wrong with any is told at once.
fn find<'s>(
    store: &'s Store,
    sources: &[Source],
) -> Result<HashMap<(String, &'static str), Found<'s>>, Cause> {
    let (mut found, mut problems) = (HashMap::new(), Vec::new());
    for source in sources {
        let Source { node, place, variables, weights, given, .. } = source;
        let arrays = if variables.is_empty() { Ok(Vec::new()) } else { store.arrays(place, variables) };
        let arrays = match arrays {
            Ok(arrays) => arrays,
            Err(absent) => {
                problems.extend(missing(node, weights, &absent));
                continue;
            }
        };
        for &(name, shape) in weights {
            let given = given.iter().find(|(array, _)| *array == name).map(|(_, values)| values);
            let array =
                variables.iter().position(|variable| variable.array == name).map(|index| arrays[index]);
            let one = match (given, array) {
                (Some(values), _) => {
                    if values.len() != shape.elements() {
                        let (expected, got) = (shape.dims().to_vec(), vec![values.len()]);
                        problems.push(WeightProblem::Shape { name: format!("{node}/{name}"), expected, got });
                    }
                    Found::Values(values.clone())
                }
                (None, Some(array)) => {
                    problems.extend(wrong(node, name, shape, array));
                    Found::Array(array)
                }
                // A normalisation without a scale or an offset.
                (None, None) => Found::Fill(f32::from(name == "gamma")),
            };
            found.insert((node.clone(), name), one);
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Cause::Weights(problems)) }
}

/// As many features are given one number's value: the file does not have them.
const MAX_SPREAD: usize = 1 << 16;

/// One number is that of all.
fn spread(values: &[f32], shape: Shape) -> Vec<f32> {
    if values.len() == 1 { vec![values[0]; shape.elements()] } else { values.to_vec() }
}

fn missing(node: &str, weights: &[(&'static str, Shape)], absent: &Absent) -> Vec<WeightProblem> {
    let names: Vec<String> = weights.iter().map(|(name, _)| format!("{node}/{name}")).collect();
    match absent {
        Absent::Layer => names.into_iter().map(|name| WeightProblem::Missing { name }).collect(),
        Absent::Arrays(there) => {
            let (expected, got) = (names.join(", "), there.join(", "));
            vec![WeightProblem::Arrays { name: node.into(), expected, got }]
        }
    }
}

/// What is wrong with an array, if something is.
fn wrong(node: &str, array: &str, expected: Shape, got: &Array) -> Option<WeightProblem> {
    let name = format!("{node}/{array}");
    if let Some(got) = got.foreign_kind() {
        return Some(WeightProblem::Kind { name, got });
    }
    // A dense layer over maps is a convolution of one pixel; one number may be that of all features.
    let ones = expected.dims().iter().take_while(|&&size| size == 1).count();
    let same = got.shape == expected.dims()
        || (ones > 0 && expected.dims()[ones..] == got.shape[..])
        || (got.shape.is_empty() && expected.rank() == 1 && expected.elements() <= MAX_SPREAD);
    if same {
        return None;
    }
    let (expected, got) = (expected.dims().to_vec(), got.shape.clone());
    // `[filters, channels, rows, columns]`
    if let (&[rows, columns, channels, filters], 4) = (&expected[..], got.len())
        && got == [filters, channels, rows, columns]
    {
        return Some(WeightProblem::Theano { name });
    }
    Some(WeightProblem::Shape { name, expected, got })
}

fn build(
    graph: &GraphBuilder,
    outputs: &[Tensor<'_>],
    found: &mut HashMap<(String, &'static str), Found<'_>>,
) -> Result<Model<'static>, Cause> {
    let values: Vec<_> = outputs.iter().map(|output| output.value).collect();
    let mut cause = None;
    let model = graph.build_with(&values, &mut |node, array, shape| {
        let values = match found.remove(&(node.to_string(), array)) {
            Some(Found::Values(values)) => values,
            Some(Found::Fill(value)) => vec![value; shape.elements()],
            Some(Found::Array(array)) => match array.read() {
                Ok(values) => spread(&values, shape),
                Err(problem) => {
                    cause = Some(problem);
                    Vec::new()
                }
            },
            None => Vec::new(),
        };
        // Of another length it is refused, and the cause is known.
        Ok(Cow::Owned(values))
    });
    match (model, cause) {
        (_, Some(cause)) => Err(cause),
        (model, None) => Ok(model?),
    }
}
