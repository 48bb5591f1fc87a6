//! ONNX files beside what ONNX Runtime, or the package onnx, gives for them.

use bantam::{Options, Session};
use bantam_tools::import::onnx::from_bytes;
use bantam_tools::import::{Cause, Import, ImportOptions, Port, Unsupported};
use safetensors::SafeTensors;
use std::collections::{BTreeMap, BTreeSet};

/// What the script beside it has written.
pub const CASES: &[u8] = include_bytes!("../../golden/onnx_cases.safetensors");

/// A file, and what was recorded.
pub struct Case<'a> {
    pub model: Vec<u8>,
    tensors: SafeTensors<'a>,
    pub name: &'a str,
}

/// An array of floats.
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Case<'_> {
    pub fn arrays(&self, kind: &str) -> Vec<Array> {
        let array = |index: usize| {
            let tensor = self.tensors.tensor(&format!("{}/{kind}.{index}", self.name)).ok()?;
            let values = tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            Some(Array { shape: tensor.shape().to_vec(), values })
        };
        (0..).map_while(array).collect()
    }
}

/// Calls with each case of a file whose name begins so.
pub fn each(file: &[u8], prefix: &str, mut call: impl FnMut(&Case<'_>)) -> usize {
    let names = SafeTensors::deserialize(file).unwrap();
    let names: BTreeSet<String> = names.names().into_iter().map(String::from).collect();
    let cases =
        names.iter().filter_map(|name| name.strip_suffix("/model")).filter(|name| name.starts_with(prefix));
    let mut count = 0;
    for name in cases {
        let tensors = SafeTensors::deserialize(file).unwrap();
        let model = tensors.tensor(&format!("{name}/model")).unwrap().data().to_vec();
        call(&Case { model, tensors, name });
        count += 1;
    }
    count
}

/// As the model has it: `[N, C, …]` with channels last if the file has them first.
fn here(array: Array, port: &Port) -> Vec<f32> {
    let (true, &[_, channels, ref pixels @ ..]) = (port.channels_first, &array.shape[..]) else {
        return array.values;
    };
    let (pixels, channels) = (pixels.iter().product::<usize>(), channels);
    let samples = array.values.chunks(channels * pixels);
    let turned = |sample: &[f32]| -> Vec<f32> {
        (0..sample.len()).map(|i| sample[i % channels * pixels + i / channels]).collect()
    };
    samples.flat_map(turned).collect()
}

/// The largest difference, by the largest number or one.
pub fn difference(
    inputs: Vec<Array>,
    outputs: Vec<Array>,
    Import { model, report }: &Import,
) -> Result<f32, String> {
    let batch = inputs[0].shape.first().copied().unwrap_or(1);
    let inputs: Vec<Vec<f32>> =
        inputs.into_iter().zip(&report.inputs).map(|(array, port)| here(array, port)).collect();
    let mut session = Session::new(model, Options::new(batch)).map_err(|problem| problem.to_string())?;
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    session.run_all(&inputs).map_err(|problem| problem.to_string())?;
    let mut largest = 0f32;
    for (index, array) in outputs.into_iter().enumerate() {
        let Some(port) = report.outputs.get(index) else { continue };
        let recorded = here(array, port);
        let got = session.output(index);
        if got.len() != recorded.len() {
            return Err(format!("{} numbers, recorded are {}", got.len(), recorded.len()));
        }
        let scale = recorded.iter().filter(|x| x.is_finite()).fold(1f32, |most, x| most.max(x.abs()));
        for (a, b) in got.iter().zip(&recorded) {
            let one = (a - b).abs() / scale;
            largest =
                if one > largest || one.is_nan() && !(a.is_nan() && b.is_nan()) { one } else { largest };
        }
    }
    Ok(largest)
}

/// Rounding of a sum of 120 products, or of a function behind one.
const TOLERANCE: f32 = 32.0 * f32::EPSILON;

#[test]
fn operators_give_what_onnx_runtime_gives() {
    let mut wrong = Vec::new();
    let count = each(CASES, "", |case| {
        if case.name.starts_with("refused/") {
            return;
        }
        match from_bytes(case.model.clone(), &ImportOptions::new()) {
            Ok(import) => match difference(case.arrays("input"), case.arrays("output"), &import) {
                Ok(difference) if difference <= TOLERANCE => {}
                Ok(difference) => wrong.push(format!("{}: {difference:e}", case.name)),
                Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
            },
            Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
        }
    });
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_the_engine_has_not_is_named() {
    each(CASES, "refused/", |case| {
        let Err(Cause::Unsupported(parts)) = from_bytes(case.model.clone(), &ImportOptions::new()) else {
            panic!("{} is not refused", case.name);
        };
        let all = case.name == "refused/all_at_once";
        assert_eq!(parts.len(), if all { 3 } else { 1 }, "{}: {parts:?}", case.name);
    });
}

/// All cases of one operator that the package onnx has: `onnx_cases.py FILE` writes them.
#[test]
#[ignore = "reads the file that BANTAM_ONNX_CASES names"]
fn cases_of_the_package_onnx_are_right_or_refused() {
    let path = std::env::var_os("BANTAM_ONNX_CASES")
        .expect("BANTAM_ONNX_CASES: expected the file that onnx_cases.py wrote");
    let file = std::fs::read(path).unwrap();
    let (mut right, mut warned, mut wrong) = (0, 0, Vec::new());
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let count = each(&file, "", |case| match from_bytes(case.model.clone(), &ImportOptions::new()) {
        // What is random or of a batch's statistics there.
        Ok(import) if !import.report.warnings.is_empty() => warned += 1,
        Ok(import) => match difference(case.arrays("input"), case.arrays("output"), &import) {
            // Functions are within some units of the last place of large arguments, and some outputs are in 16 bits, or were
            // typed with four digits.
            Ok(difference) if difference <= 10.0 * TOLERANCE => right += 1,
            Ok(difference) if difference <= 1.0 / 2048.0 && case.name.contains("16") => right += 1,
            Ok(difference) if difference <= 1e-4 && case.name.contains("window_starts_on_pad") => right += 1,
            Ok(difference) => wrong.push(format!("{}: {difference:e}", case.name)),
            Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
        },
        Err(Cause::Unsupported(parts)) => {
            let Unsupported { what, .. } = &parts[0];
            refused.entry(what.clone()).or_default().push(case.name.into());
        }
        Err(Cause::Model(problem)) => refused.entry(problem.to_string()).or_default().push(case.name.into()),
        Err(problem) => wrong.push(format!("{}: {problem}", case.name)),
    });
    for (why, cases) in &refused {
        println!("{:4} {why}: {}", cases.len(), cases[..cases.len().min(3)].join(", "));
    }
    let sum: usize = refused.values().map(Vec::len).sum();
    println!("{count} cases: {right} right, {warned} with a warning, {sum} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
