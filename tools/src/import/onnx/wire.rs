//! Where a file's messages are cut or broken, which the decoder does not say.

/// A kind of message, by the fields of it that are messages.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Other,
}

impl Message {
    /// The message that a field is, and what it is called; `None` if it is none of interest.
    fn field(self, number: u64) -> Option<(Message, &'static str)> {
        Some(match (self, number) {
            (Message::Model, 7) => (Message::Graph, "graph"),
            (Message::Model, 8) => (Message::Other, "opset"),
            (Message::Graph, 1) => (Message::Node, "node"),
            (Message::Graph, 5) => (Message::Other, "weights"),
            (Message::Graph, 11) => (Message::Other, "input"),
            (Message::Graph, 12) => (Message::Other, "output"),
            (Message::Node, 5) => (Message::Attribute, "attribute"),
            (Message::Attribute, 5) => (Message::Other, "tensor"),
            _ => return None,
        })
    }
}

/// What is broken.
#[derive(Debug, PartialEq)]
pub struct Damage {
    /// The message that it is in: `"graph, node 3"`, counted from 0.
    pub what: String,
    /// From the start of the file.
    pub offset: usize,
    pub problem: String,
}

/// The first field that is broken, if one is.
pub fn damage(bytes: &[u8]) -> Option<Damage> {
    walk(bytes, 0, Message::Model, "model").err()
}

fn walk(bytes: &[u8], start: usize, message: Message, what: &str) -> Result<(), Damage> {
    let (mut rest, mut counts) = (bytes, [0usize; 16]);
    while !rest.is_empty() {
        let offset = start + bytes.len() - rest.len();
        let broken = |problem: String| Damage { what: what.into(), offset, problem };
        let key =
            varint(&mut rest).ok_or_else(|| broken("expected a field's number, found the end".into()))?;
        let len = match key & 7 {
            0 => {
                varint(&mut rest).ok_or_else(|| broken("expected a number, found the end".into()))?;
                continue;
            }
            1 => 8,
            2 => varint(&mut rest).ok_or_else(|| broken("expected a length, found the end".into()))?,
            5 => 4,
            kind => return Err(broken(format!("expected a field of kind 0, 1, 2 or 5, got {kind}"))),
        };
        let left = rest.len();
        let field = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
        let (field, behind) =
            field.ok_or_else(|| broken(format!("expected {len} bytes, {left} are left")))?;
        if let (2, Some((message, name))) = (key & 7, message.field(key >> 3)) {
            let count = &mut counts[(key >> 3) as usize];
            let name = if what == "model" { name.to_string() } else { format!("{what}, {name} {count}") };
            *count += 1;
            walk(field, start + bytes.len() - behind.len() - field.len(), message, &name)?;
        }
        rest = behind;
    }
    Ok(())
}

/// A number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.split_off_first()?;
        value |= u64::from(byte & 127) << shift;
        if byte < &128 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of one node, whose operator's name is cut off.
    #[test]
    fn the_innermost_message_is_named() {
        let node = [0x22, 9, b'R', b'e'];
        let graph = [&[0x0a, 4][..], &node].concat();
        let model = [&[0x08, 8, 0x3a, graph.len() as u8][..], &graph].concat();
        let damage = damage(&model).unwrap();
        assert_eq!((&damage.what[..], damage.offset), ("graph, node 0", 6));
        assert_eq!(damage.problem, "expected 9 bytes, 2 are left");
    }
}
