//! Whole nets as both exporters of PyTorch write them, beside PyTorch.

use super::onnx::{Array, difference};
use bantam_tools::import::onnx::from_bytes;
use bantam_tools::import::{Import, ImportOptions, Transposes};
use safetensors::SafeTensors;

/// What the script beside it has written.
const NETS: &[u8] = include_bytes!("../../golden/onnx_nets.safetensors");

/// About ten layers, each a sum of some hundred products.
const TOLERANCE: f32 = 10.0 * 32.0 * f32::EPSILON;

fn array(nets: &SafeTensors<'_>, name: &str) -> Array {
    let tensor = nets.tensor(name).unwrap();
    let values = tensor.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Array { shape: tensor.shape().to_vec(), values }
}

fn import(nets: &SafeTensors<'_>, name: &str) -> Import {
    let file = nets.tensor(&format!("{name}/model")).unwrap().data().to_vec();
    from_bytes(file, &ImportOptions::new()).unwrap_or_else(|problem| panic!("{name}: {problem}"))
}

#[test]
fn nets_give_what_pytorch_gives_without_a_transpose() {
    let nets = SafeTensors::deserialize(NETS).unwrap();
    for net in ["residual", "inverted", "dense", "inception", "segmenting"] {
        for exporter in ["script", "dynamo"] {
            let name = format!("{net}_{exporter}");
            let import = import(&nets, &name);
            let inputs = vec![array(&nets, "input")];
            let outputs = vec![array(&nets, &format!("{net}/output"))];
            let difference = difference(inputs, outputs, &import).unwrap();
            assert!(difference <= TOLERANCE, "{name}: {difference:e}\n{}", import.report);
            // Channels that are shuffled in front of a convolution in groups are turned.
            let left = usize::from(net == "inception");
            let removed = import.report.operators.get("Transpose").map_or(0, |&count| count - left);
            assert_eq!(import.report.transposes, Some(Transposes { removed, left }), "{name}");
        }
    }
}

/// Batch normalisations that an exporter has left are layers, which `fold` takes; activations and constants are no more layers
/// than they have to be.
#[test]
fn both_exporters_give_the_same_layers_once_folded() {
    let nets = SafeTensors::deserialize(NETS).unwrap();
    for net in ["residual", "inverted", "dense", "segmenting"] {
        let kinds = |exporter: &str| -> Vec<String> {
            let model = import(&nets, &format!("{net}_{exporter}")).model.fold().unwrap();
            let kinds = model.nodes().iter().map(|node| node.layer_type().name().to_string());
            kinds.filter(|kind| kind != "Flatten" && kind != "Reshape").collect()
        };
        assert_eq!(kinds("script"), kinds("dynamo"), "{net}");
    }
}
