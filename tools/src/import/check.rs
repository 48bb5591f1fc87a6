//! A model beside what another program recorded.

use super::report::{Difference, Port, Report};
use crate::Failure;
use bantam::{Model, Options, Session};
use npyz::{DType, NpyFile, Order, TypeChar};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The most samples that run at a time.
const BATCH: usize = 16;

/// An array of a NumPy file, row-major.
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Runs the model on recorded inputs, and tells how far its outputs are from the recorded ones. The files are `.npy`: the
/// inputs in order, then the outputs, each `[N, …]` as the model or as the file that it came from has it.
///
/// # Errors
/// A file cannot be read, its array is not the model's, or the model cannot run.
pub fn check(model: &Model<'_>, report: &Report, files: &[impl AsRef<Path>]) -> Result<Difference, Failure> {
    let (inputs, outputs) = (model.input_shapes().len(), model.output_shapes().count());
    if files.len() != inputs + outputs {
        let (expected, got) = (inputs + outputs, files.len());
        return Err(format!("recorded arrays: expected {inputs} of inputs and {outputs} of outputs, {expected} in all, got {got}").into());
    }
    let shapes = model.input_shapes().iter().copied().chain(model.output_shapes());
    let (mut samples, mut arrays) = (None, Vec::new());
    for (index, (path, shape)) in files.iter().zip(shapes).enumerate() {
        let port = if index < inputs { report.inputs.get(index) } else { report.outputs.get(index - inputs) };
        let path = path.as_ref();
        let in_file = |error: Failure| format!("{}: {error}", path.display());
        let array = read(path).map_err(in_file)?;
        let samples = *samples.get_or_insert(array.samples());
        let array = array.in_order_of_model(shape.dims(), port, samples).map_err(in_file)?;
        arrays.push(array);
    }
    let (inputs, outputs) = arrays.split_at(inputs);
    let samples = samples.unwrap_or(0);
    compare(model, inputs, outputs, samples)
}

fn compare(
    model: &Model<'_>,
    inputs: &[Vec<f32>],
    outputs: &[Vec<f32>],
    samples: usize,
) -> Result<Difference, Failure> {
    let mut session = Session::new(model, Options::new(samples.clamp(1, BATCH)))?;
    let mut found =
        Difference { largest: 0.0, scale: rms(outputs.first().map_or(&[], Vec::as_slice)), samples };
    let mut first = 0;
    while first < samples {
        let count = BATCH.min(samples - first);
        let part = |values: &Vec<f32>| (values.len() / samples * first, values.len() / samples * count);
        let given: Vec<&[f32]> = inputs
            .iter()
            .map(|values| {
                let (start, len) = part(values);
                &values[start..][..len]
            })
            .collect();
        session.run_all(&given)?;
        for (index, recorded) in outputs.iter().enumerate() {
            let (start, len) = part(recorded);
            let pairs = session.output(index).iter().zip(&recorded[start..][..len]);
            // One that is not a number is the largest.
            let difference = pairs.fold(0.0f32, |most, (a, b)| {
                let one = (a - b).abs();
                if one > most || one.is_nan() { one } else { most }
            });
            let scale = rms(recorded);
            if difference.is_nan() || difference * found.scale > found.largest * scale {
                (found.largest, found.scale) = (difference, scale);
            }
        }
        first += count;
    }
    Ok(found)
}

fn rms(values: &[f32]) -> f32 {
    let squares: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (squares / values.len().max(1) as f64).sqrt() as f32
}

impl Array {
    fn samples(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The values in the model's order.
    fn in_order_of_model(
        mut self,
        sample: &[usize],
        port: Option<&Port>,
        samples: usize,
    ) -> Result<Vec<f32>, Failure> {
        let batch = |sample: &[usize]| [&[samples], sample].concat();
        let expected = batch(sample);
        if port.is_some_and(|port| port.channels_first)
            && let Some((&channels, pixels)) = sample.split_last()
            && self.shape == batch(&[&[channels], pixels].concat())
        {
            let pixels = pixels.iter().product();
            self.values = channels_last(&self.values, channels, pixels);
            return Ok(self.values);
        }
        if self.shape != expected || samples == 0 {
            return Err(format!("expected an array {expected:?}, got {:?}", self.shape).into());
        }
        Ok(self.values)
    }
}

/// `[N, C, pixels]` as `[N, pixels, C]`.
fn channels_last(values: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    let sample = channels * pixels;
    (0..values.len())
        .map(|i| {
            let (first, pixel, channel) = (i / sample * sample, i % sample / channels, i % channels);
            values[first + channel * pixels + pixel]
        })
        .collect()
}

fn read(path: &Path) -> Result<Array, Failure> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let npy = NpyFile::new(BufReader::new(file))?;
    let shape: Vec<usize> = npy.shape().iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>()?;
    let (dtype, order) = (npy.dtype(), npy.order());
    let DType::Plain(kind) = &dtype else {
        return Err(format!("expected an array of numbers, got one of {}", dtype.descr()).into());
    };
    // Before memory is claimed for what is not there.
    let elements = shape.iter().try_fold(1u64, |all, &dim| all.checked_mul(dim as u64));
    let size = kind.size_field();
    let missing = elements.and_then(|elements| elements.checked_mul(size)).is_none_or(|len| len > bytes);
    if missing {
        return Err(
            format!("expected {shape:?} numbers of {size} bytes, the file has {bytes} bytes in all").into()
        );
    }
    let values = numbers(npy, kind.type_char(), size)?;
    let values = if order == Order::Fortran { row_major(&values, &shape) } else { values };
    Ok(Array { shape, values })
}

/// Of any kind, as `f32`.
fn numbers(npy: NpyFile<impl Read>, kind: TypeChar, size: u64) -> Result<Vec<f32>, Failure> {
    macro_rules! read {
        ($kind:ty) => {
            npy.data::<$kind>()?.map(|number| number.map(|number| number as f32)).collect::<Result<_, _>>()?
        };
    }
    Ok(match (kind, size) {
        (TypeChar::Float, 4) => read!(f32),
        (TypeChar::Float, 8) => read!(f64),
        (TypeChar::Uint, 1) => read!(u8),
        (TypeChar::Int, 1) => read!(i8),
        (TypeChar::Int, 4) => read!(i32),
        (TypeChar::Int, 8) => read!(i64),
        (kind, size) => {
            return Err(format!("expected numbers of float32, float64, uint8, int8, int32 or int64, got {kind:?} of {size} bytes").into());
        }
    })
}

/// An array whose first dimension runs fastest, in rows.
fn row_major(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = Vec::new();
    shape.iter().fold(1, |stride, dim| {
        strides.push(stride);
        stride * dim
    });
    let place = |mut index: usize| {
        shape.iter().zip(&strides).rev().fold(0, |at, (dim, stride)| {
            let digit = index % dim;
            index /= dim;
            at + digit * stride
        })
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}
