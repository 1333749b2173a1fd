//! A parsed template: a flat program for a small stack machine. Written by the parser, run by the executor.
//!
//! Flat, because templates come from strangers: a tree as deep as its text would take the stack with it, in the
//! parser, in the executor and when it is dropped.

use std::collections::HashMap;
use std::sync::Arc;

use crate::builtins::Builtin;
use crate::functions::Function;
use crate::value::Value;

/// One instruction. Operands live on a stack; `dot`, variables, marks and loops on stacks of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Writes a piece of the source.
    Text {
        start: u32,
        end: u32,
    },
    /// Pushes the cursor.
    Dot,
    /// Pushes `nil`.
    Nil,
    /// Pushes a literal.
    Const(u32),
    /// Pushes a variable.
    Variable(u32),
    /// Takes `count` fields, one after the other, of the top.
    Field {
        first: u32,
        count: u32,
    },
    /// The same of the cursor.
    DotField {
        first: u32,
        count: u32,
    },
    /// The same, but given arguments, which no field takes; `piped` when one more lies below.
    FieldCall {
        first: u32,
        count: u32,
        piped: bool,
    },
    /// Forgets that the top came out of an `interface {}`.
    Unbox,
    /// Declares a variable with the value on top, which stays.
    Declare(u32),
    /// Sets the nearest variable of that name to the top, which stays.
    Assign(u32),
    /// Takes the top and writes it.
    Print,
    /// Takes fields of the cursor and writes what is found.
    PrintField {
        first: u32,
        count: u32,
    },
    /// Takes the top away.
    Drop,
    /// Calls with `count` arguments from the top and, if `piped`, the value below them as the last.
    Builtin {
        function: Builtin,
        count: u32,
        piped: bool,
    },
    /// The same for a function of the caller's.
    Extra {
        function: u32,
        count: u32,
        piped: bool,
    },
    /// `and`, `or`: jumps, keeping the top, if its truth is `on`; else takes it away.
    ShortCircuit {
        on: bool,
        target: u32,
    },
    /// Takes away the value below the top.
    Nip,
    /// Ends the rendering with [`Program::faults`].
    Fail(u32),
    /// Remembers how many variables there are.
    Mark,
    /// Forgets the variables declared since the last mark.
    Unmark,
    Jump(u32),
    /// Takes the top; jumps if it is false.
    IfFalse(u32),
    /// Takes the top; makes it the cursor, or jumps if it is false.
    With(u32),
    /// Takes back the cursor.
    EndWith,
    /// Takes the top and starts [`Program::ranges`].
    Range(u32),
    /// The next turn of the innermost loop, or its end.
    Next,
    Break,
    Continue,
    /// Takes the top and runs another template with it.
    Template(u32),
    /// The end of a template.
    Return,
}

/// What a `range` needs to know.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RangeInfo {
    /// Variables to set: none, the element, or index and element.
    pub(crate) names: (Option<u32>, Option<u32>),
    /// Whether they are assigned rather than declared.
    pub(crate) assign: bool,
    /// Where the body starts.
    pub(crate) body: u32,
    /// Where to go when there is nothing to walk.
    pub(crate) otherwise: u32,
    /// Where to go after the last turn.
    pub(crate) end: u32,
}

/// One template: the root, a `define` or a `block`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) name: Arc<str>,
    pub(crate) ops: Vec<Op>,
    /// Where in the source each instruction comes from.
    pub(crate) spans: Vec<(u32, u32)>,
    /// Whether it has nothing but blank text: an empty definition does not replace another.
    pub(crate) blank: bool,
}

/// Everything that was read from one source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) source: Arc<[u8]>,
    pub(crate) root: usize,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) constants: Vec<Value>,
    /// Names of fields, in the order of [`Op::Field`].
    pub(crate) fields: Vec<Arc<[u8]>>,
    /// Names of variables, with their dollar.
    pub(crate) variables: Vec<Arc<[u8]>>,
    pub(crate) extras: Vec<(String, Function)>,
    pub(crate) ranges: Vec<RangeInfo>,
    /// Faults that Go reports only when it gets there.
    pub(crate) faults: Vec<String>,
    /// Names that `template` asks for, and the chunk each has.
    pub(crate) calls: Vec<(Vec<u8>, Option<usize>)>,
    pub(crate) templates: HashMap<Vec<u8>, usize>,
}
