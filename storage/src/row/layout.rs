//! The columns of a row and where each one lies.

/// The physical kind of a row column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhysKind {
    Bool,
    I16,
    I32,
    I64,
    F32,
    F64,
    U32,
    Uuid,
    I128,
    /// An interval: months i32, days i32, microseconds i64.
    Fixed16,
    /// Variable length: text, bytes, numeric, json, arrays.
    Bytes,
}

impl PhysKind {
    /// Bytes in the fixed area; `None` for the variable kind.
    pub const fn size(self) -> Option<usize> {
        match self {
            PhysKind::Bool => Some(1),
            PhysKind::I16 => Some(2),
            PhysKind::I32 | PhysKind::F32 | PhysKind::U32 => Some(4),
            PhysKind::I64 | PhysKind::F64 => Some(8),
            PhysKind::Uuid | PhysKind::I128 | PhysKind::Fixed16 => Some(16),
            PhysKind::Bytes => None,
        }
    }
}

/// Where a column lies: a byte offset in the fixed area, or its number among the variable columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) kind: PhysKind,
    pub(super) at: usize,
}

/// An immutable column layout with its offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    id: u16,
    slots: Vec<Slot>,
    fixed: usize,
    variable: usize,
}

impl Layout {
    pub fn new(id: u16, columns: impl IntoIterator<Item = PhysKind>) -> Layout {
        let mut layout = Layout { id, slots: vec![], fixed: 0, variable: 0 };
        for kind in columns {
            let counter = if kind.size().is_some() { &mut layout.fixed } else { &mut layout.variable };
            layout.slots.push(Slot { kind, at: *counter });
            *counter += kind.size().unwrap_or(1);
        }
        layout
    }

    pub fn id(&self) -> u16 {
        self.id
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The kind of column `i`; `None` behind the last column.
    pub fn kind(&self, i: usize) -> Option<PhysKind> {
        self.slots.get(i).map(|slot| slot.kind)
    }

    pub(super) fn slot(&self, i: usize) -> Slot {
        self.slots[i]
    }

    pub(super) fn bitmap_bytes(&self) -> usize {
        self.slots.len().div_ceil(8)
    }

    /// Bytes of the fixed area.
    pub(super) fn fixed_bytes(&self) -> usize {
        self.fixed
    }

    /// Number of variable columns.
    pub(super) fn variable_columns(&self) -> usize {
        self.variable
    }
}
