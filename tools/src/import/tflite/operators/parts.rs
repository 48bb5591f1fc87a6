//! Parts of maps, and maps beside each other.

use crate::import::constant::Int;
use crate::import::net::{Id, Kind, Make};
use crate::import::refused::Refused;
use crate::import::tflite::fold::parts;
use crate::import::tflite::graph::Node;
use crate::import::tflite::importer::{Given, Importer, Map, Value, axis, one, shape};
use bantam::{Rescaling, ZeroPadding2d};

/// The size of an axis, which is not the batch.
fn axis_size(importer: &Importer<'_>, map: &Map, axis: usize) -> Result<usize, Refused> {
    let refused =
        || Refused::new("expected another axis than the batch").advice("samples are not told apart");
    if axis == 0 && map.dims[0] == importer.batch && importer.batch != Int::Known(1) {
        return Err(refused());
    }
    map.dims[axis].known().and_then(|size| usize::try_from(size).ok()).ok_or_else(refused)
}

/// What lies before an axis, in each sample, and what lies behind.
fn around(importer: &Importer<'_>, map: &Map, axis: usize) -> Result<[usize; 2], Refused> {
    let all: usize = importer.sample(map)?.iter().product();
    let size = axis_size(importer, map, axis)?;
    let behind: usize =
        map.dims[axis + 1..].iter().filter_map(|dim| dim.known()).map(|dim| dim as usize).product();
    Ok([all / size.max(1) / behind.max(1), behind])
}

/// A part of an axis: `len` elements from `start` on, each `step`-th.
fn part(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    axis: usize,
    [start, len, step]: [usize; 3],
) -> Result<Map, Refused> {
    let all = axis_size(importer, map, axis)?;
    if [start, len, step] == [0, all, 1] {
        return Ok(map.clone());
    }
    let [before, behind] = around(importer, map, axis)?;
    let id = importer.net.part(&node.name, map.id, [before, all, behind], [start, len, step]);
    let mut dims = map.dims.clone();
    dims[axis] = Int::Known(len as i64);
    Ok(Map { id, dims, exclusive: false })
}

/// `STRIDED_SLICE`
pub fn strided_slice(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut map = importer.map(node, 0)?;
    let [starts, ends, steps] =
        [(1, "starts"), (2, "ends"), (3, "steps")].map(|(input, what)| importer.numbers(node, input, what));
    let taken = parts(node, &map.dims, [&starts?, &ends?, &steps?])?;
    for part_of in &taken {
        map = part(importer, node, &map, part_of.axis, [part_of.start, part_of.len, part_of.step])?;
    }
    let left = |axis: usize| !taken.iter().any(|part| part.axis == axis && part.shrinks);
    let dims = (0..map.dims.len()).filter(|&axis| left(axis)).map(|axis| map.dims[axis]).collect();
    one(importer.seen(node, &map, dims))
}

/// `SLICE`: starts and lengths of each axis, −1 for all that is left.
pub fn slice(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut map = importer.map(node, 0)?;
    let starts = importer.numbers(node, 1, "starts")?;
    let lens = importer.numbers(node, 2, "lengths")?;
    if starts.len() != map.dims.len() || lens.len() != starts.len() {
        return Err(Refused::expected_got("starts", map.dims.len(), starts.len()));
    }
    for (axis, (&start, &len)) in starts.iter().zip(&lens).enumerate() {
        if start == 0 && (len == -1 || map.dims[axis] == Int::Known(len)) {
            continue;
        }
        let all = axis_size(importer, &map, axis)?;
        let first = usize::try_from(start).ok().filter(|&first| first < all);
        let rest = |first: usize| if len == -1 { Some(all - first) } else { usize::try_from(len).ok() };
        let found = first.and_then(|first| Some((first, rest(first)?)));
        let found = found.filter(|&(first, len)| len > 0 && len <= all - first);
        let (first, len) = found.ok_or_else(|| {
            let got = format!("{len} from {start} on");
            Refused::expected_got(&format!("part of axis {axis}"), format!("one of {all} elements"), got)
        })?;
        map = part(importer, node, &map, axis, [first, len, 1])?;
    }
    one(importer.seen(node, &map, map.dims.clone()))
}

/// `SPLIT`, whose axis comes first, and `SPLIT_V`, whose sizes come second.
pub fn split(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let (data, at) = if node.op == "SPLIT" { (1, 0) } else { (0, 2) };
    let map = importer.map(node, data)?;
    let &[told] = &importer.numbers(node, at, "an axis")?[..] else {
        return Err(Refused::new("axis: expected one number"));
    };
    let axis = axis(told, map.dims.len())?;
    let (all, count) = (axis_size(importer, &map, axis)?, node.outputs.len());
    let sizes = if node.op == "SPLIT" {
        vec![all / count.max(1); count]
    } else {
        let told = importer.numbers(node, 1, "sizes")?;
        let known: i64 = told.iter().filter(|&&size| size > 0).fold(0, |sum, &size| sum.saturating_add(size));
        let open = |&size: &i64| if size == -1 { all as i64 - known } else { size };
        told.iter().map(|size| usize::try_from(open(size)).unwrap_or(0)).collect()
    };
    let sum = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if sizes.len() != count || sizes.contains(&0) || sum != Some(all) {
        return Err(Refused::expected_got("parts", format!("{count} of {all} in all"), format!("{sizes:?}")));
    }
    let (mut given, mut start) = (Vec::with_capacity(count), 0);
    for len in sizes {
        given.push(Value::Map(part(importer, node, &map, axis, [start, len, 1])?));
        start += len;
    }
    Ok(given)
}

/// `CONCATENATION`
pub fn concatenation(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let maps =
        (0..node.inputs.len()).map(|input| importer.map(node, input)).collect::<Result<Vec<_>, _>>()?;
    let rank = maps.first().map_or(0, |map| map.dims.len());
    let axis = axis(node.int(0, 0)?.into(), rank)?;
    beside(importer, node, &maps, axis, node.byte(1)?)
}

/// `PACK`: along an axis that is new.
pub fn pack(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut maps =
        (0..node.inputs.len()).map(|input| importer.map(node, input)).collect::<Result<Vec<_>, _>>()?;
    let rank = maps.first().map_or(0, |map| map.dims.len());
    let axis = axis(node.int(1, 0)?.into(), rank + 1)?;
    if axis == 0 || maps.iter().any(|map| map.dims.len() != rank) {
        return Err(Refused::new("expected maps of one shape, and an axis behind the batch"));
    }
    maps.iter_mut().for_each(|map| map.dims.insert(axis, Int::Known(1)));
    beside(importer, node, &maps, axis, 0)
}

/// Maps beside each other along an axis.
fn beside(importer: &mut Importer<'_>, node: &Node<'_>, maps: &[Map], axis: usize, function: u8) -> Given {
    let first = &maps[0];
    let mut dims = first.dims.clone();
    let (mut ids, mut whole) = (Vec::with_capacity(maps.len()), 0);
    for map in maps {
        let same = map.dims.len() == dims.len()
            && (0..dims.len()).all(|other| other == axis || map.dims[other] == dims[other]);
        if !same {
            let got = format!("{} and {}", shape(&first.dims), shape(&map.dims));
            return Err(Refused::expected_got(
                "inputs",
                format!("shapes that differ in axis {axis} alone"),
                got,
            ));
        }
        let [before, behind] = around(importer, map, axis)?;
        let size = axis_size(importer, map, axis)?;
        whole += size;
        // As the file has it where that is no more than layers take.
        let sample = importer.sample(map)?;
        let skipped = map.dims.len() - sample.len().min(map.dims.len());
        let natural = sample.len() <= 4 && axis >= skipped && sample.len() + skipped == map.dims.len();
        let (sizes, at) = match (natural, before, behind) {
            (true, ..) => (sample, axis - skipped),
            (false, 1, 1) => (vec![size], 0),
            (false, _, 1) => (vec![before, size], 1),
            (false, ..) => (vec![before, size, behind], 1),
        };
        ids.push((importer.net.reshape(&node.name, map.id, &sizes), at));
    }
    dims[axis] = Int::Known(whole as i64);
    let at = ids[0].1;
    let ids: Vec<Id> = ids.into_iter().map(|(id, _)| id).collect();
    let id = importer.net.joined(&node.name, &ids, at);
    importer.activated(node, id, dims, function)
}

/// The padding of each axis, none of the batch.
fn paddings(importer: &Importer<'_>, node: &Node<'_>, map: &Map) -> Result<Vec<[usize; 2]>, Refused> {
    let told = importer.numbers(node, 1, "paddings")?;
    if told.len() != 2 * map.dims.len() {
        return Err(Refused::expected_got("paddings", 2 * map.dims.len(), told.len()));
    }
    let size = |size: i64| {
        let found = usize::try_from(size).ok().filter(|&size| size <= i32::MAX as usize);
        found.ok_or_else(|| Refused::expected_got("padding", "a number of at least 0", size))
    };
    let mut pads = Vec::with_capacity(map.dims.len());
    for (axis, pair) in told.as_chunks().0.iter().enumerate() {
        let &[before, after] = pair;
        let pair = [size(before)?, size(after)?];
        if pair != [0, 0] {
            axis_size(importer, map, axis)?;
        }
        pads.push(pair);
    }
    Ok(pads)
}

/// `PAD` with zeros, and `PADV2` with a constant.
pub fn pad(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let pads = paddings(importer, node, &map)?;
    let value = match importer.floats(node, 2)? {
        Some(value) if value.len() == 1 => value.to_vec()[0],
        Some(value) => return Err(Refused::expected_got("value", "one number", format!("{:?}", value.dims))),
        None => 0.0,
    };
    if !value.is_finite() {
        return Err(Refused::expected_got("value", "a finite number", value));
    }
    if pads.iter().all(|pad| *pad == [0, 0]) {
        return one(importer.seen(node, &map, map.dims.clone()));
    }
    let shifted = |importer: &mut Importer<'_>, id: Id, by: f32| {
        importer.net.function(&format!("{}/shift", node.name), id, Rescaling::new(1.0).offset(by))
    };
    let mut padded = map.clone();
    if value != 0.0 {
        padded.id = shifted(importer, padded.id, -value);
    }
    padded = framed(importer, node, padded, &pads)?;
    if value != 0.0 {
        padded.id = shifted(importer, padded.id, value);
    }
    one(importer.given(node, padded.id, padded.dims))
}

/// Zeros around some axes: those of a map's pixels together, others one by one.
fn framed(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    mut map: Map,
    pads: &[[usize; 2]],
) -> Result<Map, Refused> {
    let grown = |size: usize, [before, after]: [usize; 2]| size.saturating_add(before).saturating_add(after);
    if let (Ok([h, w, c]), &[[0, 0], rows, columns, [0, 0]]) = (importer.pixels(&map), pads) {
        let (around, output) = ([rows, columns], [grown(h, rows), grown(w, columns)]);
        let id = importer.net.reshape(&node.name, map.id, &[h, w, c]);
        let make: Make = Box::new(move |graph, x, _| graph.layer(ZeroPadding2d::new(around), x));
        let dims = vec![output[0], output[1], c];
        let id = importer.net.add(&node.name, Kind::Padding(around), &[id], dims, Vec::new(), make);
        return Ok(Map { id, dims: importer.batch_of(&[output[0], output[1], c]), exclusive: false });
    }
    for (axis, &pad) in pads.iter().enumerate().filter(|(_, pad)| **pad != [0, 0]) {
        let [before, behind] = around(importer, &map, axis)?;
        let all = axis_size(importer, &map, axis)?;
        let id = importer.net.reshape(&node.name, map.id, &[before, all, behind]);
        let frame = ZeroPadding2d::new([[0, 0], pad]);
        map.id = importer.net.layer(&node.name, frame, &[id], vec![before, grown(all, pad), behind]);
        map.dims[axis] = Int::Known(grown(all, pad) as i64);
    }
    Ok(map)
}

/// The most elements that are mirrored at an edge, of which each is a layer.
const MOST_MIRRORED: usize = 16;

/// `MIRROR_PAD`: rows and columns again in the other direction, from the edge on or from behind it.
pub fn mirror_pad(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut map = importer.map(node, 0)?;
    let pads = paddings(importer, node, &map)?;
    let skipped = match node.byte(0)? {
        0 => 1,
        1 => 0,
        other => {
            return Err(Refused::expected_got("mode", "REFLECT or SYMMETRIC", format!("number {other}")));
        }
    };
    for (axis, &[before, after]) in pads.iter().enumerate().filter(|(_, pad)| **pad != [0, 0]) {
        let all = axis_size(importer, &map, axis)?;
        let most = all.saturating_sub(skipped).min(MOST_MIRRORED);
        if before > most || after > most {
            return Err(Refused::expected_got(
                "paddings",
                format!("{most} at most"),
                format!("{before} and {after}"),
            ));
        }
        let start = (0..before).rev().map(|at| at + skipped);
        let end = (0..after).map(|at| all - 1 - skipped - at);
        let mut row = Vec::with_capacity(before + after + 1);
        for at in start {
            row.push(part(importer, node, &map, axis, [at, 1, 1])?);
        }
        row.push(map.clone());
        for at in end {
            row.push(part(importer, node, &map, axis, [at, 1, 1])?);
        }
        match beside(importer, node, &row, axis, 0)?.remove(0) {
            Value::Map(whole) => map = whole,
            _ => return Err(Refused::new("expected a map")),
        }
    }
    one(importer.given(node, map.id, map.dims))
}
