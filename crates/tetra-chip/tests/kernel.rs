//! Rows of kernel tables to ops.
#![allow(clippy::unwrap_used)]

use tetra_chip::{KernelColumns, KernelRefusal, Launch, op_of};
use tetra_workload::Op;

#[test]
fn attention_rows_tell_their_shape_in_the_notes() {
    let columns = KernelColumns {
        op: "attention_decode",
        precision: "bf16",
        notes: "batch=4, heads=32, kv_heads=8, head_dim=128, kv=4096",
        ..Default::default()
    };
    let Ok(Op::Attention(a)) = op_of(&columns) else { panic!("{:?}", op_of(&columns)) };
    assert_eq!((a.sequences, a.heads, a.kv_heads, a.q_len, a.kv_len, a.d_qk), (4, 32, 8, 1, 4096, 128));
    let columns =
        KernelColumns { op: "flash attention", precision: "fp16", notes: "heads 16 d 64 seq 2048 non-causal", ..Default::default() };
    let Ok(Op::Attention(a)) = op_of(&columns) else { panic!("{:?}", op_of(&columns)) };
    assert_eq!((a.sequences, a.kv_heads, a.q_len, a.kv_len, a.causal), (1, 16, 2048, 2048, false));
}

#[test]
fn numbers_stand_before_or_after_their_word() {
    let notes = "batch 2, 64 query heads, 8 kv heads, head dim 128, context 1000";
    let columns = KernelColumns { op: "attention_decode", precision: "fp8", notes, ..Default::default() };
    let Ok(Op::Attention(a)) = op_of(&columns) else { panic!("{:?}", op_of(&columns)) };
    assert_eq!((a.sequences, a.heads, a.kv_heads, a.q_len, a.kv_len, a.d_qk), (2, 64, 8, 1, 1000, 128));
}

#[test]
fn rows_without_an_op_say_why() {
    let row = |op, m, precision| op_of(&KernelColumns { op, m, precision, ..Default::default() }).unwrap_err();
    assert_eq!(row("all-reduce", None, "fp16"), KernelRefusal::Collective);
    assert_eq!(row("gemm", Some(4), "fp16"), KernelRefusal::Shape);
    assert_eq!(row("gemm", None, "fp16"), KernelRefusal::Shape);
    assert_eq!(row("fft", Some(4), "fp16"), KernelRefusal::Op);
    assert_eq!(row("gelu", Some(4), "posit"), KernelRefusal::Precision);
    assert_eq!(row("attention", Some(4), "fp16"), KernelRefusal::Shape);
    assert_eq!(row("gpt3-layer:gelu", None, "fp16"), KernelRefusal::Model);
}

#[test]
fn notes_say_whether_the_host_is_in_the_time() {
    assert_eq!(Launch::of_notes("device time, host launch not included"), Launch::Device);
    assert_eq!(Launch::of_notes("includes kernel launch"), Launch::Host);
    assert_eq!(Launch::of_notes(""), Launch::Host);
}
