//! Functions that files spell out in several operators.

use super::graph::{Graph, Node};
use super::importer::Importer;
use super::operators::function::Spelled;

/// A function of a value, and the values between that nobody else reads.
pub struct Found {
    pub of: usize,
    pub function: Spelled,
    pub between: Vec<usize>,
}

/// Which node gives each value.
pub fn producers(graph: &Graph<'_>) -> Vec<Option<usize>> {
    let mut producers = vec![None; graph.names.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        node.outputs.iter().flatten().for_each(|&output| producers[output] = Some(index));
    }
    producers
}

/// A product: a number, and what it is multiplied by.
struct Product {
    number: f32,
    factors: Vec<usize>,
    between: Vec<usize>,
}

/// Reads a graph backwards.
struct Reader<'r, 'g> {
    importer: &'r Importer<'g>,
    producers: &'r [Option<usize>],
}

/// The function that ends at a node, if one does.
pub fn find(importer: &Importer<'_>, producers: &[Option<usize>], node: &Node<'_>) -> Option<Found> {
    let reader = Reader { importer, producers };
    if matches!(node.op(), "LSTM" | "GRU") {
        return reader.backwards(node);
    }
    if !matches!(node.op(), "Mul" | "Div") {
        return None;
    }
    let mut product = Product { number: 1.0, factors: Vec::new(), between: Vec::new() };
    reader.multiply(node, &mut product, 0)?;
    let &[a, b] = &product.factors[..] else { return None };
    reader.gate(a, b, &product).or_else(|| reader.gate(b, a, &product))
}

impl<'g> Reader<'_, 'g> {
    /// The node that gives a value which nobody else reads.
    fn node(&self, value: usize) -> Option<&'g Node<'g>> {
        let graph: &'g Graph<'g> = self.importer.graph;
        (graph.readers[value] == 1).then_some(())?;
        graph.nodes.get(self.producers[value]?)
    }

    fn input(&self, node: &Node<'_>, input: usize) -> Option<usize> {
        node.inputs.get(input).copied().flatten()
    }

    /// Collects factors, through products of products.
    fn multiply(&self, node: &Node<'_>, product: &mut Product, depth: usize) -> Option<()> {
        let inputs = [self.input(node, 0)?, self.input(node, 1)?];
        for (i, value) in inputs.into_iter().enumerate() {
            let divides = node.op() == "Div" && i == 1;
            if let Some(number) = self.importer.scalar(value) {
                product.number = if divides { product.number / number } else { product.number * number };
                continue;
            }
            if divides {
                return None;
            }
            let inner = self.node(value).filter(|inner| matches!(inner.op(), "Mul" | "Div") && depth < 3);
            match inner {
                Some(inner) => {
                    product.between.push(value);
                    self.multiply(inner, product, depth + 1)?;
                }
                None => product.factors.push(value),
            }
        }
        (product.factors.len() <= 2).then_some(())
    }

    /// A node of that operator that gives a value, and its first input.
    fn of(&self, value: usize, op: &str) -> Option<(&'g Node<'g>, usize)> {
        let node = self.node(value).filter(|node| node.op() == op)?;
        Some((node, self.input(node, 0)?))
    }

    /// A recurrent layer over the steps of a series that a `Slice` has put into the other order.
    fn backwards(&self, node: &Node<'_>) -> Option<Found> {
        let slice = self.input(node, 0)?;
        let (turns, of) = self.of(slice, "Slice")?;
        let number = |input: usize| self.importer.scalar(self.input(turns, input)?);
        let steps = if node.flag("layout") { 1.0 } else { 0.0 };
        let whole = number(1)? == -1.0 && number(2)? <= i32::MIN as f32 && number(4)? == -1.0;
        (whole && number(3)? == steps).then(|| Found {
            of,
            function: Spelled::Backwards,
            between: vec![slice],
        })
    }

    /// A value plus a number, in either order.
    fn sum(&self, value: usize, near: f32) -> Option<usize> {
        let (node, first) = self.of(value, "Add")?;
        let second = self.input(node, 1)?;
        let is =
            |number: usize| self.importer.scalar(number).is_some_and(|number| (number - near).abs() < 1e-6);
        if is(second) { Some(first) } else { is(first).then_some(second) }
    }

    /// What is multiplied by a function of itself.
    fn gate(&self, x: usize, gate: usize, product: &Product) -> Option<Found> {
        let near = |number: f32, to: f32| (number - to).abs() < 1e-5 * to.abs().max(1.0);
        let found = |function, more: &[usize]| {
            Some(Found { of: x, function, between: [&product.between[..], &[gate], more].concat() })
        };
        if let Some((_, inner)) = self.of(gate, "Sigmoid")
            && inner == x
            && product.number == 1.0
        {
            return found(Spelled::Silu, &[]);
        }
        if let Some((node, inner)) = self.of(gate, "HardSigmoid")
            && inner == x
            && product.number == 1.0
        {
            let slope = node.float("alpha").unwrap_or(0.2);
            return if near(slope, 1.0 / 6.0) && near(node.float("beta").unwrap_or(0.5), 0.5) {
                found(Spelled::HardSwish, &[])
            } else {
                None
            };
        }
        if let Some((_, inner)) = self.of(gate, "Tanh")
            && let Some((_, of)) = self.of(inner, "Softplus")
            && of == x
            && product.number == 1.0
        {
            return found(Spelled::Mish, &[inner]);
        }
        if let Some((clip, inner)) = self.of(gate, "Clip")
            && self.sum(inner, 3.0) == Some(x)
            && near(product.number, 1.0 / 6.0)
        {
            let bound = |input: usize, name: &str| {
                self.input(clip, input).map_or_else(|| clip.float(name), |value| self.importer.scalar(value))
            };
            return (bound(1, "min") == Some(0.0) && bound(2, "max") == Some(6.0))
                .then(|| found(Spelled::HardSwish, &[inner]))?;
        }
        let inner = self.sum(gate, 1.0).filter(|_| near(product.number, 0.5))?;
        if let Some((_, argument)) = self.of(inner, "Erf") {
            let scaled = self.scaled(argument)?;
            return (scaled.0 == x && near(scaled.1, std::f32::consts::FRAC_1_SQRT_2))
                .then(|| found(Spelled::Gelu, &[inner, argument]))?;
        }
        let (_, argument) = self.of(inner, "Tanh")?;
        let (sum, scale) = self.scaled(argument)?;
        let root = (2.0 / std::f32::consts::PI).sqrt();
        let cube = self.cubic(sum, x).filter(|_| near(scale, root))?;
        found(Spelled::TanhGelu, &[&[inner, argument, sum], &cube[..]].concat())
    }

    /// A value and the number that it is multiplied by.
    fn scaled(&self, value: usize) -> Option<(usize, f32)> {
        let node = self.node(value).filter(|node| matches!(node.op(), "Mul" | "Div"))?;
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        match (node.op(), self.importer.scalar(a), self.importer.scalar(b)) {
            ("Div", None, Some(number)) => Some((a, 1.0 / number)),
            ("Mul", None, Some(number)) => Some((a, number)),
            ("Mul", Some(number), None) => Some((b, number)),
            _ => None,
        }
    }

    /// The values of `x + 0.044715 x³`.
    fn cubic(&self, sum: usize, x: usize) -> Option<Vec<usize>> {
        let (node, first) = self.of(sum, "Add")?;
        let second = self.input(node, 1)?;
        let term = if first == x { second } else { first };
        ((first == x) != (second == x)).then_some(())?;
        let (cube, number) = self.scaled(term)?;
        let (pow, base) = self.of(cube, "Pow")?;
        let three = self.importer.scalar(self.input(pow, 1)?)? == 3.0;
        (base == x && three && (number - 0.044715).abs() < 1e-5).then(|| vec![term, cube])
    }
}
