//! Texts that values may begin with (or, fed backwards, end with). A look-up stops at the first byte
//! that no text has, usually after a few.

/// No text ends here.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// Byte and child, sorted by byte within a node.
    edges: Vec<(u8, u32)>,
}

#[derive(Clone, Debug)]
struct Node {
    edges: (u32, u32),
    /// What the caller knows the text that ends here by.
    text: u32,
}

impl Trie {
    /// From pairs of bytes and what they are known by.
    pub(crate) fn new(mut texts: Vec<(Vec<u8>, u32)>) -> Self {
        texts.sort_unstable();
        let mut trie = Self { nodes: Vec::new(), edges: Vec::new() };
        trie.nodes.push(Node { edges: (0, 0), text: NONE });
        let mut open = vec![(0_usize, texts.as_slice(), 0_usize)];
        while let Some((node, mut texts, depth)) = open.pop() {
            while let Some(((bytes, text), rest)) = texts.split_first()
                && bytes.len() == depth
            {
                trie.nodes[node].text = *text;
                texts = rest;
            }
            let first = trie.edges.len();
            for group in texts.chunk_by(|a, b| a.0[depth] == b.0[depth]) {
                let child = trie.nodes.len();
                trie.nodes.push(Node { edges: (0, 0), text: NONE });
                trie.edges.push((group[0].0[depth], number(child)));
                open.push((child, group, depth + 1));
            }
            trie.nodes[node].edges = (number(first), number(trie.edges.len()));
        }
        trie.nodes.shrink_to_fit();
        trie.edges.shrink_to_fit();
        trie
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Calls `found` with each text that the bytes begin with.
    pub(crate) fn walk(&self, bytes: impl Iterator<Item = u8>, mut found: impl FnMut(u32)) {
        let mut node = &self.nodes[0];
        for byte in bytes {
            let edges = &self.edges[node.edges.0 as usize..node.edges.1 as usize];
            let child = if edges.len() < 8 {
                edges.iter().find(|edge| edge.0 == byte)
            } else {
                edges.binary_search_by_key(&byte, |edge| edge.0).ok().map(|at| &edges[at])
            };
            let Some((_, child)) = child else { return };
            node = &self.nodes[*child as usize];
            if node.text != NONE {
                found(node.text);
            }
        }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str], value: &str) -> Vec<u32> {
        let texts = (0..).zip(texts).map(|(n, text)| (text.as_bytes().to_vec(), n)).collect();
        let mut found = Vec::new();
        Trie::new(texts).walk(value.bytes(), |n| found.push(n));
        found
    }

    #[test]
    fn every_text_on_the_way_is_found() {
        assert_eq!(found(&["ab", "abc", "b", "abd"], "abcd"), [0, 1]);
        assert_eq!(found(&["ab", "abc"], "a"), [0; 0]);
        assert_eq!(found(&[], "a"), [0; 0]);
    }
}
