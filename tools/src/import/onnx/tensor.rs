//! Constants as ONNX's messages have them.

use super::proto::TensorProto;
use crate::import::constant::{
    Constant, Int, Ints, MOST_DIMENSIONS, MOST_INTS, Tensor, brain, elements, half,
};
use crate::import::refused::Refused;
use bytes::Bytes;

/// The bytes of a tensor that are not in the message.
pub type External<'a> = dyn Fn(&TensorProto) -> Result<Bytes, Refused> + 'a;

/// The constant that a tensor of the file is.
///
/// # Errors
/// Its bytes are not as many as its shape and type say, or no numbers that a net computes with.
pub fn read(proto: &TensorProto, external: &External<'_>) -> Result<Constant, Refused> {
    if proto.dims.len() > MOST_DIMENSIONS {
        return Err(Refused::damaged(format!(
            "dimensions: expected {MOST_DIMENSIONS} at most, got {}",
            proto.dims.len()
        )));
    }
    let mut dims = Vec::with_capacity(proto.dims.len());
    for &dim in &proto.dims {
        dims.push(usize::try_from(dim).map_err(|_| {
            Refused::damaged(format!("shape {:?}: expected sizes of at least 0", proto.dims))
        })?);
    }
    let count = elements(&dims)?;
    let raw = if proto.data_location == 1 { Some(external(proto)?) } else { proto.raw_data.clone() };
    let lists = |got: usize| {
        let wrong = || Refused::damaged(format!("elements of shape {dims:?}: expected {count}, got {got}"));
        if got == count { Ok(()) } else { Err(wrong()) }
    };
    let width = match proto.data_type {
        FLOAT | INT32 | UINT32 => 4,
        DOUBLE | INT64 | UINT64 => 8,
        FLOAT16 | BFLOAT16 | INT16 | UINT16 => 2,
        INT8 | UINT8 | BOOL => 1,
        other => {
            let advice = "convert them to 32-bit floats";
            return Err(Refused::new(format!("elements of type {}", type_name(other))).advice(advice));
        }
    };
    if let Some(raw) = &raw
        && raw.len() != count * width
    {
        let (expected, got) = (count * width, raw.len());
        return Err(Refused::damaged(format!("bytes of shape {dims:?}: expected {expected}, got {got}")));
    }
    if matches!(proto.data_type, FLOAT | DOUBLE | FLOAT16 | BFLOAT16) {
        let numbers: Vec<f32> = match (proto.data_type, &raw) {
            (FLOAT, Some(raw)) => return Ok(Constant::Floats(Tensor::of_file(dims, raw.clone()))),
            (FLOAT, None) => proto.float_data.clone(),
            (DOUBLE, Some(raw)) => raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
            (DOUBLE, None) => proto.double_data.iter().map(|&x| x as f32).collect(),
            (FLOAT16, Some(raw)) => raw.as_chunks().0.iter().map(|&b| half(u16::from_le_bytes(b))).collect(),
            (FLOAT16, None) => proto.int32_data.iter().map(|&x| half(x as u16)).collect(),
            (_, Some(raw)) => raw.as_chunks().0.iter().map(|&b| brain(u16::from_le_bytes(b))).collect(),
            (_, None) => proto.int32_data.iter().map(|&x| brain(x as u16)).collect(),
        };
        lists(numbers.len())?;
        return Ok(Constant::Floats(Tensor::new(dims, numbers)));
    }
    if count > MOST_INTS {
        return Err(Refused::new(format!(
            "whole numbers of shape {dims:?}: expected at most {MOST_INTS}, got {count}"
        )));
    }
    let values: Vec<i64> = match (proto.data_type, &raw) {
        (INT64 | UINT64, Some(raw)) => raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect(),
        (INT64, None) => proto.int64_data.clone(),
        (UINT32 | UINT64, None) => proto.uint64_data.iter().map(|&x| x as i64).collect(),
        (INT32, Some(raw)) => raw.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        (UINT32, Some(raw)) => raw.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b).into()).collect(),
        (INT16, Some(raw)) => raw.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b).into()).collect(),
        (UINT16, Some(raw)) => raw.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b).into()).collect(),
        (INT8, Some(raw)) => raw.iter().map(|&b| b.cast_signed().into()).collect(),
        (_, Some(raw)) => raw.iter().map(|&b| b.into()).collect(),
        (_, None) => proto.int32_data.iter().map(|&x| x.into()).collect(),
    };
    lists(values.len())?;
    Ok(Constant::Ints(Ints { dims, values: values.into_iter().map(Int::Known).collect() }))
}

pub const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const UINT16: i32 = 4;
const INT16: i32 = 5;
pub const INT32: i32 = 6;
pub const INT64: i32 = 7;
pub const BOOL: i32 = 9;
pub const FLOAT16: i32 = 10;
pub const DOUBLE: i32 = 11;
const UINT32: i32 = 12;
const UINT64: i32 = 13;
pub const BFLOAT16: i32 = 16;

/// What a type of elements is called.
pub fn type_name(data_type: i32) -> String {
    let names = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
        "float8e8m0",
        "uint2",
        "int2",
        "float6e2m3",
        "float6e3m2",
    ];
    let name = usize::try_from(data_type).ok().and_then(|data_type| names.get(data_type));
    name.map_or_else(|| format!("number {data_type}"), |&name| name.into())
}
