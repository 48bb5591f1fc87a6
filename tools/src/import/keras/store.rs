//! The weights in a file, by layers: groups by their names, as Keras 1 and 2 write them and Keras 3 in `.h5`, or the tree of
//! Keras 3, in which a layer is where it is in the model, by its class and a number.

use super::hdf5::{self, Array, Hdf5};
use crate::import::{Cause, Unsupported};
use hdf5_reader::group::Group;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Where the weights of a layer are.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The layer of the outermost model that it is or is in, which has a group of its own in the older files.
    pub group: String,
    /// What a weight's name has to have in it there, in order, if that is a model's: the layer's name.
    pub within: Vec<String>,
    /// In the tree: `"layers/functional/layers/conv2d"`.
    pub path: String,
    /// In the tree, behind the path: `"/cell"`.
    pub part: &'static str,
    /// The layer's name.
    pub name: String,
}

/// One of a layer's arrays, in the order in which Keras has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variable {
    /// What the engine calls it; empty if it has none.
    pub array: &'static str,
    /// What it is called in files.
    pub names: &'static [&'static str],
}

/// A file's weights. What was taken is remembered.
pub(super) struct Store {
    layout: Layout,
    taken: RefCell<BTreeSet<String>>,
}

enum Layout {
    Groups(BTreeMap<String, Vec<Array>>),
    Tree(BTreeMap<String, Leaf>),
}

/// A layer of the tree.
struct Leaf {
    /// The layer's name, if the file has it.
    name: Option<String>,
    arrays: Vec<Array>,
}

/// Why a layer's arrays are not found.
pub(super) enum Absent {
    /// There is nothing of that layer.
    Layer,
    /// There are others: these.
    Arrays(Vec<String>),
}

impl Store {
    /// The weights of a file, or of the model in it.
    pub fn new(file: &Hdf5) -> Result<Store, Cause> {
        let root = file.root()?;
        let layout = if hdf5::has_group(&root, "", "model_weights")? {
            Layout::Groups(groups(file, &hdf5::group(&root, "", "model_weights")?, "model_weights")?)
        } else if hdf5::texts(&root, "HDF5 file", "layer_names")?.is_some() {
            Layout::Groups(groups(file, &root, "")?)
        } else if hdf5::has_group(&root, "", "layers")? {
            Layout::Tree(tree(file, &hdf5::group(&root, "", "layers")?)?)
        } else {
            let advice = "expected is what Keras's save, save_weights or applications write";
            return Err(Cause::Foreign { found: "an HDF5 file without layers of Keras", advice });
        };
        if hdf5::text(&root, "HDF5 file", "backend")?.as_deref() == Some("theano") {
            let what = "weights of Theano, whose kernels are mirrored".into();
            let advice = "load and save them with Keras 2 on TensorFlow".into();
            return Err(Cause::Unsupported(vec![Unsupported { name: "backend".into(), what, advice }]));
        }
        Ok(Store { layout, taken: RefCell::default() })
    }

    /// Whether layers are where they are in the model, so that what is shared is there once.
    pub fn is_tree(&self) -> bool {
        matches!(self.layout, Layout::Tree(_))
    }

    /// The arrays of a layer, one for each variable.
    pub fn arrays(&self, place: &Place, variables: &[Variable]) -> Result<Vec<&Array>, Absent> {
        let found = match &self.layout {
            Layout::Groups(groups) => of_group(groups.get(&place.group), place, variables),
            Layout::Tree(leaves) => of_tree(leaves, place, variables),
        }?;
        self.taken.borrow_mut().extend(found.iter().map(|array| array.path.clone()));
        Ok(found)
    }

    /// The places that layers of that name have: where `load_weights` finds those of a model that has no tree.
    pub fn places(&self, name: &str) -> Vec<Place> {
        match &self.layout {
            Layout::Groups(groups) => {
                if groups.get(name).is_some_and(|arrays| !arrays.is_empty()) {
                    return vec![Place { group: name.into(), name: name.into(), ..Place::default() }];
                }
                let (outer, inner) = name.rsplit_once('/').unwrap_or(("", name));
                let inside = groups.iter().filter_map(|(group, arrays)| {
                    let is_outer = outer == group || outer.starts_with(&format!("{group}/"));
                    let within = arrays.iter().find_map(|array| part_called(array, inner))?;
                    (outer.is_empty() || is_outer).then(|| Place {
                        group: group.clone(),
                        within: vec![within.into()],
                        name: inner.into(),
                        ..Place::default()
                    })
                });
                inside.collect()
            }
            Layout::Tree(leaves) => {
                let mut exact: Vec<Place> = Vec::new();
                let mut found: Vec<Place> = Vec::new();
                let (outer, inner) = name.rsplit_once('/').unwrap_or(("", name));
                for (path, leaf) in leaves {
                    let Some(called) = &leaf.name else { continue };
                    let outer = outer.rsplit('/').next().unwrap_or_default();
                    let nested = called == inner
                        && leaves.iter().any(|(model, leaf)| {
                            leaf.name.as_deref() == Some(outer) && path.starts_with(&format!("{model}/"))
                        });
                    // The weights of a recurrent layer are its cell's, and those of a layer for each step that layer's.
                    let is_there = |part: &&str| {
                        leaves.get(&format!("{path}{part}")).is_some_and(|leaf| !leaf.arrays.is_empty())
                    };
                    let part = ["/cell", "/layer"].into_iter().find(is_there).unwrap_or_default();
                    let place = Place { path: path.clone(), part, name: called.clone(), ..Place::default() };
                    if id(leaves, path) == name {
                        exact.push(place);
                    } else if called == name || nested {
                        found.push(place);
                    }
                }
                // One of the same name may be in another model.
                if exact.is_empty() { found } else { exact }
            }
        }
    }

    /// Whether layers of the tree have no names, as Keras wrote none before 3.
    pub fn is_nameless(&self) -> bool {
        match &self.layout {
            Layout::Groups(_) => false,
            Layout::Tree(leaves) => leaves.values().all(|leaf| leaf.name.is_none()),
        }
    }

    /// The arrays that nobody has taken.
    pub fn left(&self) -> Vec<String> {
        let taken = self.taken.borrow();
        let arrays: Vec<&Array> = match &self.layout {
            Layout::Groups(groups) => groups.values().flatten().collect(),
            Layout::Tree(leaves) => leaves.values().flat_map(|leaf| &leaf.arrays).collect(),
        };
        arrays.iter().filter(|array| !taken.contains(&array.path)).map(|array| array.path.clone()).collect()
    }
}

/// Groups by the names of layers.
fn groups(file: &Hdf5, of: &Group, within: &str) -> Result<BTreeMap<String, Vec<Array>>, Cause> {
    let what = if within.is_empty() { "HDF5 file" } else { within };
    let names = hdf5::texts(of, what, "layer_names")?;
    let names =
        names.ok_or_else(|| Cause::damaged(what, "expected the attribute layer_names, found none"))?;
    let mut groups = BTreeMap::new();
    let mut add = |name: String| -> Result<(), Cause> {
        let path = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
        let group = hdf5::group(of, within, &name)?;
        let weights = hdf5::texts(&group, &path, "weight_names")?.unwrap_or_default();
        let arrays = weights.iter().map(|weight| file.array(&group, &path, weight));
        groups.insert(name, arrays.collect::<Result<_, _>>()?);
        Ok(())
    };
    names.into_iter().try_for_each(&mut add)?;
    let top = "top_level_model_weights";
    if hdf5::has_group(of, what, top)? {
        add(top.into())?;
    }
    Ok(groups)
}

/// The groups `vars` below one.
fn tree(file: &Hdf5, layers: &Group) -> Result<BTreeMap<String, Leaf>, Cause> {
    let mut leaves = BTreeMap::new();
    file.visit(layers, "layers", &mut |group, path, _| {
        let Some(layer) = path.strip_suffix("/vars") else { return Ok(()) };
        let name = hdf5::text(group, path, "name")?;
        leaves.insert(layer.to_string(), Leaf { name, arrays: file.numbered(group, path)? });
        Ok(())
    })?;
    Ok(leaves)
}

/// The names of a layer of the tree and of those that it is in, from the outermost on. In a `Bidirectional` they are `forward` and
/// `backward`, whatever class they are of.
fn id(leaves: &BTreeMap<String, Leaf>, path: &str) -> String {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    let name = |end| {
        let path = &path[..end];
        let side = ["forward", "backward"].into_iter().find(|side| path.ends_with(&format!("/{side}_layer")));
        let name = leaves.get(path)?.name.as_deref()?;
        Some(side.unwrap_or(name))
    };
    ends.filter_map(name).collect::<Vec<_>>().join("/")
}

/// What a layer of that name is called in an array's: so, or as a side of a `Bidirectional`, `forward_lstm`.
fn part_called<'a>(array: &'a Array, name: &'a str) -> Option<&'a str> {
    if has(array, name) {
        return Some(name);
    }
    let side = ["forward", "backward"].contains(&name);
    let of_side = |part: &&str| part.strip_prefix(name).is_some_and(|class| class.starts_with('_'));
    array.name.split('/').find(|part| side && of_side(part))
}

/// Whether a part of an array's name, but the last, is that.
fn has(array: &Array, part: &str) -> bool {
    let (folders, _) = array.name.rsplit_once('/').unwrap_or(("", &array.name));
    // A layer's name may have slashes itself.
    format!("/{folders}/").contains(&format!("/{part}/"))
}

/// Whether an array is called so: `"kernel"` is the name of `"conv2d/kernel:0"`.
fn is_called(array: &Array, names: &[&str]) -> bool {
    let last = array.name.rsplit('/').next().unwrap_or_default();
    let last = last.split(':').next().unwrap_or_default();
    names.contains(&last)
}

fn of_group<'s>(
    group: Option<&'s Vec<Array>>,
    place: &Place,
    variables: &[Variable],
) -> Result<Vec<&'s Array>, Absent> {
    let arrays = group.into_iter().flatten();
    let arrays: Vec<&Array> =
        arrays.filter(|array| place.within.iter().all(|part| has(array, part))).collect();
    if arrays.is_empty() {
        return Err(Absent::Layer);
    }
    // By their names where they have those: in a model's group the frozen ones are last, whatever layer they are of.
    let called = |variable: &Variable| {
        let mut called = arrays.iter().filter(|array| is_called(array, variable.names));
        match (called.next(), called.next()) {
            (Some(array), None) => Some(*array),
            _ => None,
        }
    };
    let named: Vec<&Array> = variables.iter().filter_map(called).collect();
    if named.len() == variables.len() && arrays.len() == variables.len() {
        return Ok(named);
    }
    // Keras 1 and its applications name them otherwise: `block1_conv1_W_1:0`.
    if named.is_empty() && place.within.is_empty() && arrays.len() == variables.len() {
        return Ok(arrays);
    }
    Err(Absent::Arrays(arrays.iter().map(|array| array.path.clone()).collect()))
}

fn of_tree<'s>(
    leaves: &'s BTreeMap<String, Leaf>,
    place: &Place,
    variables: &[Variable],
) -> Result<Vec<&'s Array>, Absent> {
    let Place { path, part, name, .. } = place;
    let right =
        |path: &str| leaves.get(path).and_then(|leaf| leaf.name.as_deref()).is_none_or(|found| found == name);
    // Its number, unless another layer has that.
    let path = if right(path) {
        path
    } else {
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        let mut beside = leaves.iter().filter(|(other, leaf)| {
            other.rsplit_once('/').is_some_and(|(other, _)| other == folder)
                && leaf.name.as_deref() == Some(name)
        });
        match (beside.next(), beside.next()) {
            (Some((other, _)), None) => other,
            _ => return Err(Absent::Layer),
        }
    };
    let leaf = leaves.get(&format!("{path}{part}")).filter(|leaf| !leaf.arrays.is_empty());
    let arrays = &leaf.ok_or(Absent::Layer)?.arrays;
    if arrays.len() != variables.len() {
        return Err(Absent::Arrays(arrays.iter().map(|array| array.path.clone()).collect()));
    }
    Ok(arrays.iter().collect())
}
