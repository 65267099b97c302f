//! A row of a table.

/// A row. Its fields are ranges of a text.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub text: &'a [u8],
    pub fields: &'a [(usize, usize)],
    /// The line on which the row starts.
    pub line: u64,
}

impl<'a> Row<'a> {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a [u8]> {
        let &(start, end) = self.fields.get(at)?;
        self.text.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.text;
        self.fields.iter().map(move |&(start, end)| text.get(start..end).unwrap_or_default())
    }
}

/// A row that owns its text.
pub(super) struct StoredRow {
    text: Vec<u8>,
    fields: Vec<(usize, usize)>,
    line: u64,
}

impl StoredRow {
    pub(super) fn new(row: Row<'_>) -> Self {
        let mut text = Vec::new();
        let mut fields = Vec::with_capacity(row.len());
        for field in row.iter() {
            fields.push((text.len(), text.len() + field.len()));
            text.extend_from_slice(field);
        }
        Self { text, fields, line: row.line }
    }

    pub(super) fn as_row(&self) -> Row<'_> {
        Row { text: &self.text, fields: &self.fields, line: self.line }
    }

    pub(super) fn byte_count(&self) -> usize {
        self.text.len() + self.fields.len() * size_of::<(usize, usize)>()
    }
}
