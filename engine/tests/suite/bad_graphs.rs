//! Model files whose graphs are none: each is refused, and the error tells what was expected and what came.

use crate::common::mend;
use bantam::{Conv2d, Dense, Flatten, Isa, MAX_INPUTS, Model, Options, Relu, Sequential, Session, layers};

const SHARES: u8 = 2;

/// A node as a file has it.
#[derive(Clone, Default)]
struct Node {
    flags: u8,
    name: &'static str,
    layer: &'static str,
    inputs: Vec<u32>,
    shares: Option<u32>,
    types: Vec<u8>,
    attributes: Vec<u8>,
}

fn relu(name: &'static str, input: u32) -> Node {
    Node { name, layer: "ReLU", inputs: vec![input], ..Node::default() }
}

fn add(name: &'static str, inputs: &[u32]) -> Node {
    Node { name, layer: "Add", inputs: inputs.to_vec(), ..Node::default() }
}

fn dense(name: &'static str, input: u32, units: u32) -> Node {
    let attributes = [&units.to_le_bytes()[..], &[1]].concat();
    Node { name, layer: "Dense", inputs: vec![input], types: vec![0, 0], attributes, ..Node::default() }
}

/// A file, and what it claims beyond what it holds.
#[derive(Clone)]
struct File {
    /// The element type and the dimensions of each.
    inputs: Vec<(u8, Vec<u32>)>,
    nodes: Vec<Node>,
    outputs: Vec<u32>,
    more: More,
    weights: usize,
}

#[derive(Clone, Default)]
struct More {
    inputs: u8,
    dims: u8,
    nodes: u32,
    edges: u32,
    outputs: u32,
    metadata: u32,
}

impl File {
    /// Of one input of four numbers, and the last node's output.
    fn new(nodes: &[Node]) -> File {
        let (inputs, outputs) = (vec![(0, vec![4])], vec![nodes.len() as u32]);
        File { inputs, nodes: nodes.to_vec(), outputs, more: More::default(), weights: 1 << 10 }
    }

    fn table(&self) -> Vec<u8> {
        let more = &self.more;
        let mut table = vec![self.inputs.len() as u8 + more.inputs];
        let size = |table: &mut Vec<u8>, size: u32| table.extend(size.to_le_bytes());
        let text = |table: &mut Vec<u8>, text: &[u8]| {
            table.extend((text.len() as u16).to_le_bytes());
            table.extend(text);
        };
        for (of_type, dims) in &self.inputs {
            table.extend([*of_type, dims.len() as u8 + more.dims]);
            dims.iter().for_each(|&dim| size(&mut table, dim));
        }
        size(&mut table, self.nodes.len() as u32 + more.nodes);
        size(&mut table, self.nodes.iter().map(|node| node.inputs.len() as u32).sum::<u32>() + more.edges);
        for node in &self.nodes {
            table.push(node.flags | if node.shares.is_some() { SHARES } else { 0 });
            text(&mut table, node.name.as_bytes());
            text(&mut table, node.layer.as_bytes());
            table.push(node.inputs.len() as u8);
            node.inputs.iter().for_each(|&value| size(&mut table, value));
            node.shares.iter().for_each(|&node| size(&mut table, node));
            table.push(node.types.len() as u8);
            table.extend(&node.types);
            text(&mut table, &node.attributes);
        }
        size(&mut table, self.outputs.len() as u32 + more.outputs);
        self.outputs.iter().for_each(|&value| size(&mut table, value));
        size(&mut table, more.metadata);
        table
    }

    fn bytes(&self, table: &[u8]) -> Vec<u64> {
        let len = (64 + table.len()).next_multiple_of(64) + self.weights;
        let mut words = vec![0u64; len / 8];
        let file = bytemuck::cast_slice_mut::<u64, u8>(&mut words);
        file[..8].copy_from_slice(b"BANTAM\r\n");
        file[8..12].copy_from_slice(&2u32.to_le_bytes());
        file[12..16].copy_from_slice(&(table.len() as u32).to_le_bytes());
        file[16..24].copy_from_slice(&(len as u64).to_le_bytes());
        file[64..64 + table.len()].copy_from_slice(table);
        mend(file);
        words
    }

    /// Why it is refused.
    fn refused(&self) -> String {
        let words = self.bytes(&self.table());
        match Model::from_bytes(bytemuck::cast_slice(&words)) {
            Ok(model) => panic!("it was read: {}", model.summary()),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn a_good_file_is_read() {
    let mut file = File::new(&[dense("a", 0, 4), dense("b", 1, 4), add("sum", &[1, 2])]);
    file.nodes[1].shares = Some(0);
    file.weights = 2 * 64;
    let words = file.bytes(&file.table());
    let model = Model::from_bytes(bytemuck::cast_slice(&words)).unwrap();
    assert_eq!((model.nodes().len(), model.parameters().len()), (3, 2));
    assert_eq!(model.to_bytes().unwrap(), bytemuck::cast_slice::<u64, u8>(&words));
}

#[test]
fn cycles() {
    let itself = File::new(&[relu("a", 0), relu("b", 2)]).refused();
    let told = "layer \"b\": value that it reads: expected one of the 2 before it, got number 2";
    assert_eq!(itself, told);
    let later = File::new(&[relu("a", 2), relu("b", 1)]).refused();
    assert_eq!(later, "layer \"a\": value that it reads: expected one of the 1 before it, got number 2");
    let mut nowhere = File::new(&[relu("a", 0)]);
    nowhere.outputs = vec![u32::MAX];
    let told = "output of the model: expected one of the 2 before it, got number 4294967295";
    assert_eq!(nowhere.refused(), told);
    let mut own_weights = File::new(&[dense("a", 0, 4), dense("b", 1, 4)]);
    own_weights.nodes[1].shares = Some(1);
    let told = "layer \"b\": layer whose weights it shares: expected one of the 1 before it, got number 1";
    assert_eq!(own_weights.refused(), told);
}

#[test]
fn names() {
    let twice = File::new(&[relu("a", 0), relu("a", 1)]).refused();
    assert_eq!(twice, "layer: more than one is named \"a\"");
    let model = Sequential::new([4]).dense(3).named("head").relu().build(1).unwrap();
    let told = "layer: no layer is named \"haed\"; the nearest is \"head\"";
    assert_eq!(model.node("haed").unwrap_err().to_string(), told);
    assert_eq!(model.weights("haed").unwrap_err().to_string(), told);
    let mut model = model;
    assert_eq!(model.set_trainable("haed", true).unwrap_err().to_string(), told);
    assert_eq!(model.set_weights("haed", &[]).unwrap_err().to_string(), told);
}

#[test]
fn maps_that_do_not_fit() {
    let sum = File::new(&[dense("a", 0, 3), add("sum", &[0, 1])]).refused();
    assert_eq!(sum, "layer \"sum\": operand: expected [4], got [3]");
    let three = File::new(&[Node { inputs: vec![0, 0, 0], ..dense("a", 0, 3) }]).refused();
    assert_eq!(three, "layer \"a\": inputs of a layer: expected one, got 3");
    let many = File::new(&[add("sum", &[0; MAX_INPUTS + 1])]).refused();
    assert_eq!(
        many,
        format!("layer \"sum\": inputs of a layer: expected at most {MAX_INPUTS}, got {}", MAX_INPUTS + 1)
    );
    let none = File::new(&[Node { inputs: Vec::new(), ..relu("a", 0) }]).refused();
    assert_eq!(none, "layer \"a\": inputs of a layer: expected one, got 0");
}

#[test]
fn weights_that_do_not_fit() {
    let shared = |units, input| {
        let mut file = File::new(&[dense("a", 0, 4), dense("b", 0, 3), dense("c", input, units)]);
        file.nodes[2].shares = Some(0);
        file.refused()
    };
    assert_eq!(shared(5, 0), "layer \"c\": shared weights: expected [4, 5], got [4, 4]");
    assert_eq!(shared(4, 2), "layer \"c\": shared weights: expected [3, 4], got [4, 4]");
    let mut none = File::new(&[relu("a", 0), dense("b", 1, 4)]);
    none.nodes[1].shares = Some(0);
    assert_eq!(none.refused(), "layer \"b\": shared arrays of weights: expected 2 elements, got 0");

    let of_types = |types: &[u8]| File::new(&[Node { types: types.to_vec(), ..dense("a", 0, 4) }]).refused();
    assert_eq!(of_types(&[0, 7]), "model file: element type: expected 0, found 7");
    assert_eq!(of_types(&[0]), "model file: arrays of weights: expected 2, found 1");
    assert_eq!(of_types(&[0, 0, 0]), "model file: arrays of weights: expected 2, found 3");
    let mut input = File::new(&[relu("a", 0)]);
    input.inputs[0].0 = 1;
    assert_eq!(input.refused(), "model file: element type: expected 0, found 1");

    let mut short = File::new(&[dense("a", 0, 100)]);
    short.weights = 4 * 400;
    assert_eq!(short.refused(), "layer \"a\": model file: weights: expected 448 bytes, found 0");
    short.weights += 448 + 64;
    assert_eq!(short.refused(), "model file: bytes after the weights: expected 0, found 64");
}

#[test]
fn files_that_claim_more_than_they_hold() {
    let claims = |more: More| File { more, ..File::new(&[relu("a", 0)]) }.refused();
    let rest = File::new(&[relu("a", 0)]).table().len();
    // Behind the input, the number of nodes and that of their inputs.
    let left = rest - 15;
    let huge = |nodes: u64, edges: u64| {
        let expected = 9 * nodes + 4 * edges;
        format!("model file: layers: expected {expected} bytes, found {left}")
    };
    let nodes = u32::MAX - 1;
    #[cfg(target_pointer_width = "64")]
    assert_eq!(claims(More { nodes, ..More::default() }), huge(u64::from(nodes) + 1, 1));
    #[cfg(target_pointer_width = "64")]
    assert_eq!(claims(More { edges: nodes, ..More::default() }), huge(1, u64::from(nodes) + 1));
    assert_eq!(claims(More { nodes: 3, ..More::default() }), huge(4, 1));
    let one = claims(More { nodes: 1, ..More::default() });
    assert!(one.starts_with("model file: ") && one.contains(" bytes, found "), "{one}");
    let edges = claims(More { edges: 1, ..More::default() });
    assert_eq!(edges, "model file: values that all layers read: expected 2, found 1");
    let outputs = claims(More { outputs: u32::MAX - 1, ..More::default() });
    #[cfg(target_pointer_width = "64")]
    assert_eq!(outputs, format!("model file: outputs: expected {} bytes, found 8", 4 * u64::from(u32::MAX)));
    let metadata = claims(More { metadata: 5, ..More::default() });
    assert_eq!(metadata, "model file: metadata: expected 5 bytes, found 0");
    let dims = claims(More { dims: 5, ..More::default() });
    assert_eq!(dims, "model file: number of dimensions: expected 5, found 6");
    let inputs = claims(More { inputs: 200, ..More::default() });
    assert!(inputs.starts_with("model file: ") || inputs.starts_with("dimensions: "), "{inputs}");

    let mut no_inputs = File::new(&[relu("a", 0)]);
    no_inputs.inputs.clear();
    assert_eq!(no_inputs.refused(), "inputs of a model: expected at least one, got none");
    let mut no_outputs = File::new(&[relu("a", 0)]);
    no_outputs.outputs.clear();
    assert_eq!(no_outputs.refused(), "outputs of a model: expected at least one, got none");
    assert_eq!(File::new(&[]).refused(), "layers: expected at least one, got none");
}

/// A table that ends anywhere, or has a byte too many.
#[test]
fn tables_that_are_cut_short() {
    let file = File::new(&[dense("a", 0, 4), add("sum", &[0, 1])]);
    let mut table = file.table();
    let read = |table: &[u8]| {
        let words = file.bytes(table);
        Model::from_bytes(bytemuck::cast_slice(&words)).map(|_| ()).unwrap_err().to_string()
    };
    for len in 0..table.len() {
        let error = read(&table[..len]);
        assert!(error.contains(" bytes, found "), "{len}: {error}");
    }
    table.push(0);
    assert_eq!(read(&table), "model file: bytes after the table: expected 0, found 1");
}

/// More layers, all of names that are not known, than could be compared with each other.
#[test]
fn a_file_of_a_hundred_thousand_layers_is_refused_at_once() {
    let unknown = |i: usize| {
        let layer: &'static str = Box::leak(format!("{i:06}").into_boxed_str());
        Node { layer, ..relu("a", 0) }
    };
    let file = File::new(&(0..100_000).map(unknown).collect::<Vec<_>>());
    let words = file.bytes(&file.table());
    let start = std::time::Instant::now();
    let error = Model::from_bytes(bytemuck::cast_slice(&words)).unwrap_err().to_string();
    assert_eq!(error, "layers: expected at most 4096, got 100000");
    assert!(start.elapsed().as_secs_f32() < 0.5, "{:?}", start.elapsed());
}

/// All layers that a program does not name are told at once.
#[test]
fn layers_that_are_not_named() {
    let net =
        Sequential::new([5, 5, 1]).conv2d(2, 3).relu().max_pool2d(2).relu().flatten().dense(3).softmax();
    let bytes = net.build(1).unwrap().to_bytes().unwrap();
    let told = |names| format!("model file: expected layers that the program names, found {names}");
    let refused = |bytes, known| Model::from_bytes_with(bytes, known).unwrap_err().to_string();
    let some = layers![Conv2d, Dense, Flatten];
    assert_eq!(refused(&bytes, some), told("ReLU, MaxPooling2D, Softmax"));
    assert_eq!(refused(&bytes, layers![Relu]), told("Conv2D, MaxPooling2D, Flatten, Dense, Softmax"));
    // What names its layers links no reader of old files.
    assert_eq!(refused(V1, layers![]), "model file: expected version 2, found 1");
}

/// A file of version 1, written when that was the newest.
static V1: &[u8] = bantam::include_aligned!("../golden/v1.bantam");

#[test]
fn a_file_of_version_1_is_read() {
    let model = crate::common::model();
    let read = Model::from_bytes(V1).unwrap();
    assert_eq!(read, model);
    assert_eq!(Model::from_bytes(&read.to_bytes().unwrap()).unwrap(), model);
    let image: Vec<f32> = (0..60).map(|i| (i * 37 % 60) as f32 / 30.0 - 1.0).collect();
    // As the library gave them that wrote the file.
    let want = [0.1913335, 0.22523656, 0.41926512, 0.16416478];
    for isa in Isa::available() {
        let mut session = Session::new(&read, Options::new(1).isa(isa)).unwrap();
        let got = session.run(&image).unwrap();
        assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6), "{isa}: {got:?}");
    }
}

/// Its checksum put right, a damaged one is refused or read, and does not panic.
#[test]
fn damaged_files_of_version_1() {
    let table = 64..64 + u32::from_le_bytes(V1[12..16].try_into().unwrap()) as usize;
    let (mut read, mut refused) = (0, 0);
    for at in table {
        for byte in [0, 1, 2, 3, 5, 7, 8, 127, 128, 255] {
            let mut words = vec![0u64; V1.len() / 8];
            let file = bytemuck::cast_slice_mut::<u64, u8>(&mut words);
            file.copy_from_slice(V1);
            file[at] = byte;
            let sum =
                [&file[..24], &file[32..]].concat().chunks(8).fold(0xcbf2_9ce4_8422_2325_u64, |sum, word| {
                    (sum ^ u64::from_le_bytes(word.try_into().unwrap())).wrapping_mul(0x0000_0100_0000_01b3)
                });
            file[24..32].copy_from_slice(&sum.to_le_bytes());
            match Model::from_bytes(file) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} {refused}");
}
