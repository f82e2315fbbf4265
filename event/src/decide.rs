//! The shape of every stateful decision: a command is judged against a state and becomes facts.

/// One consistent thing: an incident, a run, a rule's life.
///
/// Law: `decide` reads nothing but its arguments, `apply` accepts every history. An empty `Vec` means
/// "already so", which makes repeated commands harmless.
pub trait Decider: Default {
    type Command;
    type Event;
    type Rejection;

    /// What follows from `command`; changes nothing. Time and ids come in with the command.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Takes one fact in; total, whatever the history.
    fn apply(&mut self, event: &Self::Event);

    /// The state after `events`.
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self
    where
        Self::Event: 'a,
    {
        let mut state = Self::default();
        events.into_iter().for_each(|event| state.apply(event));
        state
    }
}
