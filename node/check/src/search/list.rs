//! A list of numbers that can be taken out and put back where they were (Knuth's dancing links).
//!
//! Invariant: numbers are put back in the reverse of the order in which they were taken. A number that was taken still
//! knows its neighbours of then.

pub(super) struct List {
    /// By number, with the two ends of the list as one more number at the end.
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl List {
    /// A list of these numbers, each below `count` and at most once.
    pub(super) fn new(numbers: impl Iterator<Item = u32>, count: usize) -> List {
        let end = count as u32;
        let mut list = List { next: vec![end; count + 1], previous: vec![end; count + 1] };
        let mut last = end;
        for number in numbers {
            list.next[last as usize] = number;
            list.previous[number as usize] = last;
            last = number;
        }
        list.previous[end as usize] = last;
        list
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.after(self.end())
    }

    pub(super) fn after(&self, number: u32) -> Option<u32> {
        Some(self.next[number as usize]).filter(|next| *next != self.end())
    }

    pub(super) fn take(&mut self, number: u32) {
        let (previous, next) = (self.previous[number as usize], self.next[number as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
    }

    pub(super) fn take_back(&mut self, number: u32) {
        let (previous, next) = (self.previous[number as usize], self.next[number as usize]);
        self.next[previous as usize] = number;
        self.previous[next as usize] = number;
    }

    fn end(&self) -> u32 {
        self.next.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(list: &List) -> Vec<u32> {
        std::iter::successors(list.first(), |number| list.after(*number)).collect()
    }

    #[test]
    fn what_is_taken_comes_back_to_its_place() {
        let mut list = List::new([2, 0, 3].into_iter(), 5);
        let mut before = Vec::new();
        for number in [0, 3, 2] {
            before.push((number, numbers(&list)));
            list.take(number);
        }
        assert!(numbers(&list).is_empty());
        for (number, before) in before.into_iter().rev() {
            list.take_back(number);
            assert_eq!(numbers(&list), before);
        }
        assert_eq!(numbers(&list), [2, 0, 3]);
        assert!(numbers(&List::new([].into_iter(), 0)).is_empty());
    }
}
