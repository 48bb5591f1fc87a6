//! Files of TensorFlow Lite beside what LiteRT gives for them.

use super::onnx::{Case, difference, each};
use bantam_tools::import::tflite::from_bytes;
use bantam_tools::import::{Cause, Import, ImportOptions};

/// What the script beside it has written.
pub const CASES: &[u8] = include_bytes!("../../golden/tflite_cases.safetensors");

/// Rounding of a sum of 120 products, or of a function behind one.
const TOLERANCE: f32 = 32.0 * f32::EPSILON;
/// Of a net: of some such sums, one behind the other.
const OF_A_NET: f32 = 8.0 * TOLERANCE;

fn imported(name: &str) -> Import {
    let mut import = None;
    each(CASES, name, |case| {
        if case.name == name {
            import = Some(from_bytes(case.model.clone(), &ImportOptions::new()).unwrap());
        }
    });
    import.unwrap_or_else(|| panic!("{name}: no such case"))
}

/// What is wrong with a case.
fn wrong(case: &Case<'_>, tolerance: f32) -> Vec<String> {
    let of = |problem: String| format!("{}: {problem}", case.name);
    let import = match from_bytes(case.model.clone(), &ImportOptions::new()) {
        Ok(import) => import,
        Err(problem) => return vec![of(problem.to_string())],
    };
    // The reference kernels where they give other bits.
    let kinds = ["output", "reference"].into_iter().filter(|kind| !case.arrays(kind).is_empty());
    let found = kinds.map(|kind| match difference(case.arrays("input"), case.arrays(kind), &import) {
        Ok(difference) if difference <= tolerance => None,
        Ok(difference) => Some(of(format!("{kind} {difference:e}"))),
        Err(problem) => Some(of(problem)),
    });
    found.flatten().collect()
}

fn all_right(prefix: &str, tolerance: f32, at_least: usize) {
    let mut problems = Vec::new();
    let count = each(CASES, prefix, |case| problems.extend(wrong(case, tolerance)));
    assert!(count >= at_least, "{count} cases of {prefix}");
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn operators_give_what_litert_gives() {
    all_right("operator/", TOLERANCE, 60);
}

#[test]
fn nets_give_what_litert_gives() {
    all_right("net/", OF_A_NET, 8);
}

#[test]
fn files_of_other_kinds_give_what_litert_gives() {
    all_right("file/", OF_A_NET, 3);
}

#[test]
fn what_the_engine_has_not_is_named() {
    let count = each(CASES, "refused/", |case| {
        let Err(Cause::Unsupported(parts)) = from_bytes(case.model.clone(), &ImportOptions::new()) else {
            panic!("{} is not refused", case.name);
        };
        let all = case.name == "refused/all_at_once";
        assert_eq!(parts.len(), if all { 3 } else { 1 }, "{}: {parts:?}", case.name);
    });
    assert_eq!(count, 5);
}

#[test]
fn a_quantised_model_is_refused_once_with_what_to_do() {
    let count = each(CASES, "quantised/", |case| {
        let Err(Cause::Unsupported(parts)) = from_bytes(case.model.clone(), &ImportOptions::new()) else {
            panic!("{} is not refused", case.name);
        };
        assert_eq!(parts.len(), 1, "{parts:?}");
        assert!(parts[0].what.contains("quantised, as "), "{}", parts[0].what);
        assert!(parts[0].advice.contains("floats"), "{}", parts[0].advice);
    });
    assert_eq!(count, 2);
}

#[test]
fn layers_are_called_as_in_keras_and_ports_as_in_the_signature() {
    let Import { model, report } = imported("net/segmenter");
    let names: Vec<&str> = model.nodes().iter().map(|node| node.name()).collect();
    println!("{names:?}\n{report}");
    assert_eq!(report.inputs[0].name, "picture");
    let mut outputs: Vec<&str> = report.outputs.iter().map(|port| &port.name[..]).collect();
    outputs.sort_unstable();
    assert_eq!(outputs, ["kind", "mask"]);
}

#[test]
fn sizes_that_the_file_leaves_open_are_given_by_their_places_and_no_others() {
    let Import { model, report } = imported("operator/relu_n1_to_1");
    let name = &report.inputs[0].name;
    let mut file = Vec::new();
    each(CASES, "operator/relu_n1_to_1", |case| file = case.model.clone());
    let import = |file: &[u8], axis: usize| {
        let given = ImportOptions::new().dimension(&format!("{name}.{axis}"), 4);
        from_bytes(file.to_vec(), &given)
    };
    let none = import(&file, 1).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        none,
        format!("dimension: expected none, as all sizes but the batch's are in the file, got \"{name}.1\"")
    );

    // The rows of all maps, where the file says which sizes are open.
    let bytes = |sizes: [i32; 4]| sizes.map(i32::to_le_bytes).concat();
    let (rows_known, rows_open) = (bytes([-1, 4, 5, 4]), bytes([-1, -1, 5, 4]));
    for at in 0..file.len() - rows_known.len() {
        if file[at..].starts_with(&rows_known) {
            file[at..][..rows_open.len()].copy_from_slice(&rows_open);
        }
    }
    assert_eq!(import(&file, 1).unwrap().model.input_shape(), model.input_shape());
    let other = import(&file, 2).map(|_| ()).unwrap_err().to_string();
    let expected =
        format!("dimension: expected one that the file leaves open, \"{name}.1\", got \"{name}.2\"");
    assert_eq!(other, expected);
}

#[test]
fn a_padding_before_a_convolution_is_a_part_of_it() {
    let Import { model, report } = imported("operator/conv_padded");
    let kinds: Vec<&str> = model.nodes().iter().map(|node| node.layer_type().name()).collect();
    assert_eq!(kinds.iter().filter(|kind| kind.contains("Padding")).count(), 0, "{kinds:?}");
    assert!(report.operators.contains_key("PAD"), "{report}");
    assert!(report.fused.iter().any(|line| line.contains(": into ")), "{report}");
}

/// `SHAPE`, `STRIDED_SLICE` and `PACK`, as the converter writes them before a `RESHAPE`.
#[test]
fn what_only_computes_a_shape_is_no_layer() {
    let Import { model, report } = imported("net/mobilenet_v1");
    assert!(report.operators.contains_key("PACK"), "{report}");
    let names: Vec<&str> = model.nodes().iter().map(|node| node.name()).collect();
    // Seven kernels, six of them with an activation, a mean, a reshape and softmax.
    assert_eq!(names.len(), 6 + 5 + 3, "{names:?}");
}

#[test]
fn a_sigmoid_that_its_input_is_multiplied_by_is_a_silu() {
    let Import { model, .. } = imported("net/efficientnet");
    let kinds: Vec<&str> = model.nodes().iter().map(|node| node.layer_type().name()).collect();
    let count = |name: &str| kinds.iter().filter(|kind| kind.eq_ignore_ascii_case(name)).count();
    assert_eq!([count("silu"), count("sigmoid")], [3, 1], "{kinds:?}");
}

/// What fuzzing found: the only element of an axis that is taken, and a step behind it that no array has.
#[test]
fn a_step_may_be_larger_than_memory() {
    let file = include_bytes!("../../../../fuzz/seeds/import_tflite/step_beyond_memory.tflite");
    let Err(problem) = from_bytes(file.to_vec(), &ImportOptions::new().input_size(4, 4)) else { panic!() };
    let problem = problem.to_string();
    // The part is taken, and others of the file do not fit.
    assert!(problem.contains("2 parts cannot be imported") && !problem.contains("step"), "{problem}");
    // Sizes of an array without elements may be of any size too.
    let file = include_bytes!("../../../../fuzz/seeds/import_tflite/part_of_nothing.tflite");
    assert!(from_bytes(file.to_vec(), &ImportOptions::new().input_size(4, 4)).is_err());
}

/// What fuzzing found.
#[test]
fn pads_beyond_memory_are_refused() {
    let file = include_bytes!("../../../../fuzz/seeds/import_tflite/pads_beyond_memory.tflite");
    let Err(problem) = from_bytes(file.to_vec(), &ImportOptions::new().input_size(4, 4)) else { panic!() };
    let problem = problem.to_string();
    assert!(problem.contains("shape: expected one that fits memory, got"), "{problem}");
}
