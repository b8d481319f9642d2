//! Texts to small numbers, counted, so that a hundred thousand pending items share their keys and values.

use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A text's number. Valid while somebody holds a count on it.
pub type Symbol = u32;

#[derive(Debug)]
struct Slot {
    text: Arc<str>,
    holders: u32,
}

/// An interner that forgets: a text whose last holder let go gives its number back, so memory follows the backlog.
#[derive(Debug, Default)]
pub struct Symbols {
    numbers: FxHashMap<Arc<str>, Symbol>,
    slots: Vec<Slot>,
    free: Vec<Symbol>,
}

impl Symbols {
    /// The number of a text, with one more holder.
    pub fn hold(&mut self, text: &Arc<str>) -> Symbol {
        if let Some(&symbol) = self.numbers.get(text) {
            if let Some(slot) = self.slots.get_mut(symbol as usize) {
                slot.holders += 1;
            }
            return symbol;
        }
        let symbol = self.free.pop().unwrap_or(self.slots.len() as Symbol);
        let slot = Slot { text: text.clone(), holders: 1 };
        match self.slots.get_mut(symbol as usize) {
            Some(old) => *old = slot,
            None => self.slots.push(slot),
        }
        self.numbers.insert(text.clone(), symbol);
        symbol
    }

    /// The number of a tag key, with one more holder on it and on its folded form.
    pub fn hold_key(&mut self, key: &Arc<str>, folded: &str) -> (Symbol, Symbol) {
        let symbol = self.hold(key);
        let fold = if folded == &**key { self.hold(key) } else { self.hold(&Arc::from(folded)) };
        (symbol, fold)
    }

    /// One holder fewer.
    pub fn release(&mut self, symbol: Symbol) {
        let Some(slot) = self.slots.get_mut(symbol as usize) else { return };
        slot.holders = slot.holders.saturating_sub(1);
        if slot.holders == 0 {
            self.numbers.remove(&slot.text);
            slot.text = Arc::from("");
            self.free.push(symbol);
        }
    }

    /// The text of a number that is held.
    pub fn text(&self, symbol: Symbol) -> Arc<str> {
        self.slots.get(symbol as usize).map_or_else(|| Arc::from(""), |slot| slot.text.clone())
    }

    /// The text without a count of its own, for comparing.
    pub fn peek(&self, symbol: Symbol) -> &str {
        self.slots.get(symbol as usize).map_or("", |slot| &slot.text)
    }

    /// Texts held now.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_number_and_the_last_release_gives_it_back() {
        let mut symbols = Symbols::default();
        let a = symbols.hold(&Arc::from("env"));
        assert_eq!(symbols.hold(&Arc::from("env")), a);
        symbols.release(a);
        assert_eq!(symbols.peek(a), "env");
        symbols.release(a);
        assert!(symbols.is_empty());
        assert_eq!(symbols.hold(&Arc::from("other")), a, "the number is used again");
    }

    #[test]
    fn keys_that_differ_in_case_share_their_folded_symbol() {
        let mut symbols = Symbols::default();
        let (upper, fold_upper) = symbols.hold_key(&Arc::from("Env"), "env");
        let (lower, fold_lower) = symbols.hold_key(&Arc::from("env"), "env");
        assert_ne!(upper, lower);
        assert_eq!(fold_upper, fold_lower);
        for symbol in [upper, fold_upper, lower, fold_lower] {
            symbols.release(symbol);
        }
        assert!(symbols.is_empty());
    }
}
