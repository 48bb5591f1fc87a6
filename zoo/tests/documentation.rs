//! The table of docs/zoo.md has a row for each net, with its parameters.

use bantam_zoo::{NAMES, by_name};

#[test]
fn each_net_has_its_row() {
    let text = include_str!("../../docs/zoo.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[1].trim_matches('`')).collect::<Vec<_>>(), NAMES);
    for (row, name) in rows.iter().zip(NAMES) {
        let net = by_name(name).unwrap();
        let model = net.build_with(&mut |_, _, shape| Ok(vec![0.0; shape.elements()].into())).unwrap();
        assert_eq!(row[2], net.input_shape().map(|size| size.to_string()).join("×"), "{name}");
        assert_eq!(row[3].replace(',', ""), model.parameter_count().to_string(), "{name}");
    }
}
