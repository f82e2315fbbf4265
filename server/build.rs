//! Embeds the rules anew when they change: a new file would go unnoticed otherwise.

fn main() {
    println!("cargo:rerun-if-changed=../rules");
}
