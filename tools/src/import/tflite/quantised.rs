//! Models of whole numbers, which are not read yet.

use super::graph::Graph;
use crate::draw::count;
use crate::import::Unsupported;

/// The refusal of a model of which an operator reads or gives whole numbers that stand for others.
pub fn found(graph: &Graph<'_>) -> Option<Unsupported> {
    let quantised = |tensor: &usize| graph.tensors[*tensor].quantised;
    let mut nodes =
        graph.nodes.iter().filter(|node| node.inputs.iter().flatten().chain(&node.outputs).any(quantised));
    let first = nodes.next()?;
    let all = nodes.count() + 1;
    Some(Unsupported {
        name: first.name.clone(),
        what: format!(
            "{}: quantised, as {} of {}",
            first.op,
            all,
            count(graph.nodes.len() as u64, "operator")
        ),
        advice:
            "import the model in floats that this one was made of: convert it without converter.optimizations"
                .into(),
    })
}
