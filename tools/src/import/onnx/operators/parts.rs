//! Parts of maps, and maps beside each other.

use super::windows::Plane;
use crate::import::net::{Kind, Make};
use crate::import::onnx::arrangement::{Arrangement, Factor, size};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Given, Importer, Map, Run, Value, one};
use crate::import::refused::Refused;
use bantam::{MAX_INPUTS, Rescaling, ZeroPadding2d};

/// The most parts of an axis that are put beside each other in another order, of which each is a layer.
pub const MOST_PARTS: usize = 4 * MAX_INPUTS;

/// The size of an axis, which is not the batch.
fn axis_size(map: &Map, axis: usize) -> Result<usize, Refused> {
    if map.lies.axes[axis].contains(&Factor::BATCH) {
        return Err(Refused::new("expected another axis than the batch").advice("samples are not told apart"));
    }
    Ok(size(&map.lies.axes[axis]))
}

/// A part of an axis: `len` elements from `start` on, each `step`-th.
fn part(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    axis: usize,
    [start, len, step]: [usize; 3],
) -> Result<Map, Refused> {
    let all = axis_size(map, axis)?;
    if [start, len, step] == [0, all, 1] {
        return Ok(map.clone());
    }
    let (id, run) = importer.run(node, map, &map.lies.axes[axis].clone(), true);
    let [before, _, behind] = run.dims();
    let id = importer.net.part(node.name, id, [before, all, behind], [start, len, step]);
    let new = importer.factors.axis(len);
    let mut axes = map.lies.axes.clone();
    axes[axis] = new.clone();
    let lies = Arrangement { axes, order: run.with(&new) };
    Ok(Map { id, lies, exclusive: false })
}

/// `Slice`: starts and ends are attributes up to opset 9, inputs since.
pub fn slice(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut map = importer.map(node, 0)?;
    let rank = map.lies.axes.len();
    let missing = || Refused::new("expected starts and ends, found none");
    let starts = importer.listed(node, "starts", 1)?.ok_or_else(missing)?;
    let ends = importer.listed(node, "ends", 2)?.ok_or_else(missing)?;
    let axes = importer.listed(node, "axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = importer.numbers(node, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || axes.len() > rank {
        return Err(Refused::new("expected as many ends, axes and steps as starts, for each axis once"));
    }
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = Node::axis(axis, rank)?;
        if step < 0 {
            let places = backwards([start, end, step], axis_size(&map, axis)?);
            map = picked(importer, node, &map, axis, &places)?;
            continue;
        }
        let Some(step) = usize::try_from(step).ok().filter(|&step| step > 0) else {
            return Err(Refused::expected_got("step", "another number than 0", step));
        };
        if map.lies.axes[axis].contains(&Factor::BATCH)
            && start == 0
            && end >= i64::from(i32::MAX)
            && step == 1
        {
            continue;
        }
        let all = axis_size(&map, axis)?;
        let [start, end] = [start, end].map(|at| bound(at, all));
        if start >= end {
            return Err(Refused::expected_got(
                &format!("part of axis {axis}"),
                "an element at least",
                "none",
            ));
        }
        map = part(importer, node, &map, axis, [start, (end - start).div_ceil(step), step])?;
    }
    one(importer.seen(node, &map, map.lies.clone()))
}

/// The places of a part that is read from its end: the last has an end before the first place, `-all - 1`.
pub fn backwards([start, end, step]: [i64; 3], all: usize) -> Vec<usize> {
    let all = all as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(all).max(-1) } else { at.min(all - 1) };
    let (first, last) = (place(start), place(end));
    let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    ((last + 1).max(0)..=first).rev().step_by(step).map(|at| at as usize).collect()
}

/// The elements of an axis at these places, of which those that follow each other are one part.
fn picked(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    axis: usize,
    places: &[usize],
) -> Result<Map, Refused> {
    let rows: Vec<&[usize]> = places.chunk_by(|a, b| a + 1 == *b).collect();
    if rows.is_empty() || rows.len() > MOST_PARTS {
        let expected = format!("1 to {MOST_PARTS} that do not follow each other");
        return Err(Refused::expected_got("elements", expected, rows.len()));
    }
    let parts = rows.iter().map(|row| part(importer, node, map, axis, [row[0], row.len(), 1]));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    if let [part] = &parts[..] { Ok(part.clone()) } else { beside(importer, node, &parts, axis) }
}

/// A place on an axis of that size, which may be counted from its end.
pub fn bound(at: i64, all: usize) -> usize {
    let at = if at < 0 { at.saturating_add(all as i64) } else { at };
    at.clamp(0, all as i64) as usize
}

/// `Split`: the sizes of the parts are an attribute up to opset 12, an input since.
pub fn split(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let axis = Node::axis(node.int("axis").unwrap_or(0), map.lies.axes.len())?;
    let (all, parts) = (axis_size(&map, axis)?, node.outputs.len());
    let sizes = match importer.listed(node, "split", 1)? {
        Some(sizes) => sizes.iter().map(|&size| size.max(0) as usize).collect(),
        None => {
            let each = all.div_ceil(parts.max(1));
            (0..parts).map(|part| each.min(all.saturating_sub(part * each))).collect::<Vec<_>>()
        }
    };
    if sizes.len() != parts
        || sizes.contains(&0)
        || sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size)) != Some(all)
    {
        return Err(Refused::expected_got("parts", format!("{parts} of {all} in all"), format!("{sizes:?}")));
    }
    let (mut given, mut start) = (Vec::with_capacity(parts), 0);
    for len in sizes {
        given.push(Value::Map(part(importer, node, &map, axis, [start, len, 1])?));
        start += len;
    }
    Ok(given)
}

/// `Gather` of constant indices, which follow each other in a few rows.
pub fn gather(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let map = importer.map(node, 0)?;
    let axis = Node::axis(node.int("axis").unwrap_or(0), map.lies.axes.len())?;
    let all = axis_size(&map, axis)?;
    let scalar = importer.ints(node, 1)?.is_some_and(|indices| indices.dims.is_empty());
    let rank = importer.ints(node, 1)?.map_or(0, |indices| indices.dims.len());
    let indices = importer.numbers(node, 1)?.unwrap_or_default();
    let refused = |got: &[i64]| {
        Refused::expected_got("indices", format!("a row of numbers below {all}"), format!("{got:?}"))
    };
    let places = indices.iter().map(|&index| {
        let at = if index < 0 { index + all as i64 } else { index };
        usize::try_from(at).ok().filter(|&at| at < all).ok_or_else(|| refused(&indices))
    });
    let places = places.collect::<Result<Vec<_>, _>>()?;
    if rank > 1 {
        return Err(refused(&indices));
    }
    let map = picked(importer, node, &map, axis, &places)?;
    if !scalar {
        return one(importer.seen(node, &map, map.lies.clone()));
    }
    let mut target = map.lies.dims(importer.batch);
    target.remove(axis);
    super::shape::reshaped(importer, node, &map, &target)
}

/// `Concat`
pub fn concat(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let maps = importer.maps(node)?;
    let rank = maps.first().map_or(0, |map| map.lies.axes.len());
    let axis = Node::axis(node.int("axis").unwrap_or(1), rank)?;
    if let [map] = &maps[..] {
        return one(importer.seen(node, map, map.lies.clone()));
    }
    one(Value::Map(beside(importer, node, &maps, axis)?))
}

/// Maps beside each other along an axis.
fn beside(importer: &mut Importer<'_>, node: &Node<'_>, maps: &[Map], axis: usize) -> Result<Map, Refused> {
    let mut first = maps[0].clone();
    let rank = first.lies.axes.len();
    let pairs: Vec<(usize, usize)> =
        (0..rank).filter(|&other| other != axis).map(|other| (other, other)).collect();
    let mut others: Vec<Map> = maps[1..].to_vec();
    axis_size(&first, axis)?;
    // Twice, since what parts the factors of the first parts those of all.
    for _ in 0..2 {
        for other in &mut others {
            let dims = |map: &Map| map.lies.dims(importer.batch);
            let same = other.lies.axes.len() == rank
                && pairs.iter().all(|&(at, _)| dims(other)[at] == dims(&first)[at]);
            if !same || !first.lies.unify(&mut other.lies, &pairs, &mut importer.factors) {
                let got = format!("{} and {}", importer.shape(&first), importer.shape(other));
                return Err(Refused::expected_got(
                    "inputs",
                    format!("shapes that differ in axis {axis} alone"),
                    got,
                ));
            }
        }
    }
    // Where a map has one element on the axis it lies wherever it is wanted.
    let (_, run) = {
        let widest = maps.iter().position(|map| !map.lies.axes[axis].is_empty()).unwrap_or(0);
        let map = if widest == 0 { first.clone() } else { others[widest - 1].clone() };
        let factors = map.lies.axes[axis].clone();
        importer.run(node, &map, &factors, true)
    };
    let (mut ids, mut whole) = (Vec::with_capacity(maps.len()), 0);
    let Run { before, behind, .. } = &run;
    let mut lies = first.lies.clone();
    lies.axes[axis] = importer.factors.axis(2);
    lies.order = [&before[..], &lies.axes[axis], behind].concat();
    let natural = lies.natural();
    let at = lies.order[..before.len() + 1].chunk_by(|a, b| same_axis(&lies, a, b)).count() - 1;
    for map in [&first].into_iter().chain(&others) {
        let factors = &map.lies.axes[axis];
        let id = importer.turned(node, map, &[&before[..], factors, behind].concat());
        let mut dims = natural.clone();
        dims[at] = size(factors);
        whole += dims[at];
        let dims = if dims.len() <= 4 { dims } else { vec![size(before), size(factors), size(behind)] };
        ids.push(importer.net.reshape(node.name, id, &dims));
    }
    let at = if natural.len() <= 4 { at } else { 1 };
    let id = importer.net.joined(node.name, &ids, at);
    let new = importer.factors.axis(whole);
    let order = [&before[..], &new, behind].concat();
    lies.axes[axis] = new;
    let lies = Arrangement { order, ..lies };
    match importer.given(node, id, lies) {
        Value::Map(map) => Ok(map),
        _ => Err(Refused::new("expected a map")),
    }
}

fn same_axis(lies: &Arrangement, a: &Factor, b: &Factor) -> bool {
    lies.axes.iter().any(|axis| axis.contains(a) && axis.contains(b))
}

/// `Pad`, with a constant or what lies there: pads are attributes up to opset 10, inputs since. What is negative is cut off.
pub fn pad(importer: &mut Importer<'_>, node: &Node<'_>) -> Given {
    let mut map = importer.map(node, 0)?;
    let rank = map.lies.axes.len();
    let mode = node.text("mode").unwrap_or("constant");
    if !["constant", "edge", "reflect", "wrap"].contains(&mode) {
        return Err(Refused::expected_got("mode", "constant, edge, reflect or wrap", mode));
    }
    let pads = importer.listed(node, "pads", 1)?.ok_or_else(|| Refused::new("expected pads, found none"))?;
    let value = match node.inputs.get(2).copied().flatten() {
        Some(value) => {
            importer.scalar(value).ok_or_else(|| Refused::new("value: expected one constant number"))?
        }
        None => node.float("value").unwrap_or(0.0),
    };
    let axes = match importer.numbers(node, 3)? {
        Some(axes) => axes.iter().map(|&axis| Node::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() || axes.len() > rank {
        return Err(Refused::expected_got("pads", 2 * axes.len(), pads.len()));
    }
    let mut grown = vec![[0usize; 2]; rank];
    for (i, &axis) in axes.iter().enumerate() {
        let [before, after] = [pads[i], pads[axes.len() + i]];
        if [before, after] == [0, 0] {
            continue;
        }
        let all = axis_size(&map, axis)?;
        if mode != "constant" {
            map = extended(importer, node, &map, axis, [before, after])?;
            continue;
        }
        let [cut, less] =
            [before, after].map(|pad| usize::try_from(-pad.clamp(i64::from(i32::MIN), 0)).unwrap_or(0));
        let len = all.checked_sub(cut + less).filter(|&len| len > 0).ok_or_else(|| {
            Refused::expected_got("pads", format!("less than {all} cut off"), format!("{before} and {after}"))
        })?;
        map = part(importer, node, &map, axis, [cut, len, 1])?;
        for (grown, pad) in grown[axis].iter_mut().zip([before, after]) {
            *grown = usize::try_from(pad.clamp(0, i64::from(i32::MAX))).unwrap_or(0);
        }
    }
    let shifted = |importer: &mut Importer<'_>, map: &Map, by: f32| {
        let dims = importer.net.dims(map.id).to_vec();
        let layer = Rescaling::new(1.0).offset(by);
        importer.net.layer(&format!("{}/shift", node.name), layer, &[map.id], dims)
    };
    if grown.iter().all(|grown| *grown == [0, 0]) {
        return one(importer.seen(node, &map, map.lies.clone()));
    }
    if value != 0.0 {
        map.id = shifted(importer, &map, -value);
    }
    let mut map = framed(importer, node, &map, &grown)?;
    if value != 0.0 {
        map.id = shifted(importer, &map, value);
    }
    one(importer.given(node, map.id, map.lies))
}

/// An axis with elements of its own before and after it, as the mode of a `Pad` says.
fn extended(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    axis: usize,
    pads: [i64; 2],
) -> Result<Map, Refused> {
    let (all, mode) = (axis_size(map, axis)?, node.text("mode").unwrap_or_default());
    let most = match mode {
        "edge" => MOST_PARTS / 2,
        "reflect" => (all - 1).min(MOST_PARTS / 2),
        _ => all,
    };
    let small = |pad: i64| usize::try_from(pad).ok().filter(|&pad| pad <= most);
    let [Some(before), Some(after)] = pads.map(small) else {
        let advice = "pad with zeros, or outside of the net";
        let expected = format!("0 to {most} of mode {mode} for an axis of {all}");
        return Err(Refused::expected_got("pads", expected, format!("{pads:?}")).advice(advice));
    };
    let place = |beyond: usize, last: bool| match (mode, last) {
        ("edge", false) => 0,
        ("edge", true) => all - 1,
        ("reflect", false) => beyond,
        ("reflect", true) => all - 1 - beyond,
        (_, false) => all - beyond,
        (_, true) => beyond - 1,
    };
    let places: Vec<usize> = (1..=before).rev().map(|beyond| place(beyond, false)).collect();
    let places = places.into_iter().chain(0..all).chain((1..=after).map(|beyond| place(beyond, true)));
    picked(importer, node, map, axis, &places.collect::<Vec<_>>())
}

/// Zeros around some axes: those of a map's pixels together, others one by one.
fn framed(
    importer: &mut Importer<'_>,
    node: &Node<'_>,
    map: &Map,
    grown: &[[usize; 2]],
) -> Result<Map, Refused> {
    let mut map = map.clone();
    let pixels = |grown: &[[usize; 2]]| grown.iter().take(2).all(|grown| *grown == [0, 0]);
    if let (true, Ok(plane)) = (pixels(grown), Plane::of(importer, &map)) {
        let [h, w] = plane.sizes();
        let around = if plane.rank() == 2 { [grown[2], grown[3]] } else { [[0, 0], grown[2]] };
        let id = importer.laid(node, &map, &plane.groups());
        let output = [h + around[0][0] + around[0][1], w + around[1][0] + around[1][1]];
        let dims = vec![output[0], output[1], plane.channels()];
        let make: Make = Box::new(move |graph, x, _| graph.layer(ZeroPadding2d::new(around), x));
        let id = importer.net.add(node.name, Kind::Padding(around), &[id], dims, Vec::new(), make);
        let lies = plane.output(output, None, &mut importer.factors);
        return Ok(Map { id, lies, exclusive: false });
    }
    for (axis, &[before, after]) in grown.iter().enumerate().filter(|(_, grown)| **grown != [0, 0]) {
        let factors = map.lies.axes[axis].clone();
        let (id, run) = importer.run(node, &map, &factors, true);
        let [outer, all, inner] = run.dims();
        let id = importer.net.reshape(node.name, id, &[outer, all, inner]);
        let dims = vec![outer, before + all + after, inner];
        let id = importer.net.layer(node.name, ZeroPadding2d::new([[0, 0], [before, after]]), &[id], dims);
        let new = importer.factors.axis(before + all + after);
        let order = run.with(&new);
        map.lies.axes[axis] = new;
        map = Map { id, lies: Arrangement { order, ..map.lies }, exclusive: false };
    }
    Ok(map)
}
