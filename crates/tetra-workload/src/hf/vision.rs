//! Parameters of vision towers: they take memory and count in the published total; text needs no time in them.
//!
//! A tower is `patch embedding + positions + L·(4(h² + h) + 2hf + f + h + 4h) + norms`, then a projector to the language model's width.

use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use crate::count::{product, total};

/// Widths of a tower's layers.
struct Tower {
    hidden: u64,
    ffn: u64,
    layers: u64,
}

impl Tower {
    fn read(v: &mut Reader) -> Self {
        Self {
            hidden: v.whole("hidden_size", WIDTH),
            ffn: v.whole("intermediate_size", WIDTH),
            layers: v.whole("num_hidden_layers", LAYERS),
        }
    }

    /// Layers with biases everywhere and two layer norms.
    fn parameters(&self) -> u64 {
        let (h, f) = (self.hidden, self.ffn);
        let attention = product([4, h, h.saturating_add(1)]);
        let feed_forward = total([product([2, h, f]), f, h]);
        product([self.layers, total([attention, feed_forward, product([4, h])])])
    }
}

/// SigLIP as in Gemma 3: biased patch embedding, learned positions, one norm after; projector: norm and matrix.
pub(crate) fn siglip(r: &mut Reader, text_hidden: u64) -> u64 {
    let Some(mut v) = r.object("vision_config") else { return 0 };
    v.free(&["num_attention_heads", "layer_norm_eps", "hidden_act", "num_image_tokens", "projection_dim", "projector_hidden_act"]);
    v.must_be("vision_use_head", false);
    v.free(&["torch_dtype", "dtype"]);
    let tower = Tower::read(&mut v);
    let (patch, image) = (v.whole("patch_size", HEADS), v.whole("image_size", HEADS));
    let channels = v.whole_or("num_channels", HEADS, 3);
    let side = image / patch;
    let h = tower.hidden;
    r.absorb(v);
    let embedding = total([product([channels, patch, patch, h]), h, product([side, side, h])]);
    total([embedding, tower.parameters(), product([2, h]), h, product([h, text_hidden])])
}

/// The tower of Llama 4: unbiased patch embedding, class token, norms before and after, a two-matrix adapter and a projector.
pub(crate) fn llama4(r: &mut Reader, text_hidden: u64) -> u64 {
    let Some(mut v) = r.object("vision_config") else { return 0 };
    v.free(&[
        "num_attention_heads",
        "norm_eps",
        "hidden_act",
        "pixel_shuffle_ratio",
        "projector_dropout",
        "vision_feature_layer",
        "vision_feature_select_strategy",
        "multi_modal_projector_bias",
        "torch_dtype",
        "dtype",
        "image_token_index",
    ]);
    let tower = Tower::read(&mut v);
    let (patch, image) = (v.whole("patch_size", HEADS), v.whole("image_size", HEADS));
    let channels = v.whole_or("num_channels", HEADS, 3);
    let (wide_in, wide_out) = (v.whole("projector_input_dim", WIDTH), v.whole("projector_output_dim", WIDTH));
    let out = v.whole_or("vision_output_dim", WIDTH, wide_out);
    r.absorb(v);
    let (h, side) = (tower.hidden, image / patch);
    let positions = product([side, side]).saturating_add(1);
    let embedding = total([product([channels, patch, patch, h]), h, product([positions, h]), product([4, h])]);
    let adapter = total([product([tower.ffn, wide_in]), product([wide_in, wide_out]), product([out, text_hidden])]);
    total([embedding, tower.parameters(), adapter])
}

/// MoonViT of Kimi K2.5: biased patch embedding, learned positions, one norm after; projector: norm and two biased matrices over merged
/// patches.
pub(crate) fn moon_vit(r: &mut Reader) -> u64 {
    let Some(mut v) = r.object("vision_config") else { return 0 };
    v.free(&["init_pos_emb_time", "merge_type", "mm_projector_type", "pos_emb_type", "projector_hidden_act", "projector_ln_eps"]);
    v.free(&["video_attn_type", "vt_num_attention_heads", "dtype", "torch_dtype"]);
    let tower = Tower {
        hidden: v.whole("vt_hidden_size", WIDTH),
        ffn: v.whole("vt_intermediate_size", WIDTH),
        layers: v.whole("vt_num_hidden_layers", LAYERS),
    };
    let patch = v.whole("patch_size", HEADS);
    let positions = product([v.whole("init_pos_emb_height", HEADS), v.whole("init_pos_emb_width", HEADS)]);
    let (into, out) = (v.whole("mm_hidden_size", WIDTH), v.whole("text_hidden_size", WIDTH));
    let merged = merge_area(&mut v);
    r.absorb(v);
    let (h, wide) = (tower.hidden, product([into, merged]));
    let embedding = total([product([3, patch, patch, h]), h, product([positions, h])]);
    let projector = total([product([2, into]), product([wide, wide.saturating_add(1)]), product([wide.saturating_add(1), out])]);
    total([embedding, tower.parameters(), product([2, h]), projector])
}

fn merge_area(v: &mut Reader) -> u64 {
    let items = v.list("merge_kernel_size").unwrap_or_default();
    let sides: Vec<u64> = items.iter().map(|i| v.bounded("merge_kernel_size", i, 1, HEADS)).collect();
    sides.into_iter().fold(1, u64::saturating_mul)
}
