//! Early in the morning somebody holds a badge to a back door that its owner reported lost; when it is refused,
//! the door is forced, and the camera sees somebody inside.

use crate::{
    Cast, Offset, Topic,
    form::door::{Access, Camera},
    script::Script,
};

pub(super) fn tell(script: &mut Script, cast: &Cast) {
    let random = &mut script.random;
    let owner = cast.victim(random, 0);
    let (site, door) = (owner.site, owner.site.remote);
    let reason = random.one_of(&[
        "credential reported lost",
        "credential reported stolen",
        "badge lost (挂失)",
    ]);
    let mut now = Offset::at(5, 45).plus_secs(random.between(0, 2_700));
    let near = Camera { site, door, people: 1, message: "person at the door, face covered" };
    script.add(Topic::Doors, now.plus_secs(-25), |time| near.line(time));
    for _ in 0..script.random.between(2, 5) {
        let refused = Access::denied(owner, door, reason);
        script.add(Topic::Doors, now, |time| refused.line(time));
        now = now.plus_secs(script.random.between(4, 15));
    }
    now = now.plus_secs(script.random.between(40, 140));
    let forced = Access::forced(site, door);
    script.add(Topic::Doors, now, |time| forced.line(time));
    let inside = Camera { site, door, people: 1, message: "person inside, no badge read" };
    script.add(Topic::Doors, now.plus_secs(6), |time| inside.line(time));
    now = now.plus_secs(script.random.between(90, 240));
    let refused = Access::denied(owner, site.secure, reason);
    script.add(Topic::Doors, now, |time| refused.line(time));
}
