//! What keeps Custos from reading the cluster, or from publishing to it, in words that say what to do about it.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

/// What Custos does with the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Reads,
    /// To a cluster that this section of the configuration names.
    Publishes(&'static str),
}

impl Way {
    fn lacks(self) -> &'static str {
        match self {
            Self::Reads => {
                "give this user Read and Describe on the topics and Read on the group (kafka-acls)"
            }
            Self::Publishes(_) => {
                "give this user Write and Describe on the topic (kafka-acls), and IdempotentWrite on the cluster where \
                 brokers are older than 2.8"
            }
        }
    }

    fn unknown(self) -> &'static str {
        match self {
            Self::Reads => {
                "correct [kafka] topics, or let this user Describe the topic (kafka-acls)"
            }
            Self::Publishes(_) => {
                "make the topic, correct its name in [kafka.publish], or let this user Describe it (kafka-acls)"
            }
        }
    }

    /// A mend as this way's configuration calls things.
    fn named(self, mend: &str) -> String {
        match self {
            Self::Reads => mend.into(),
            Self::Publishes(section) => mend.replace("[kafka]", section),
        }
    }
}

/// What it is about, and so by what it is seen to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Over when a broker is connected.
    Connection,
    /// Over when partitions are assigned.
    Group,
    /// Over when records come, or are taken.
    Topics,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `refused` needs somebody to act; `unreachable` may be over by itself.
    pub(crate) kind: &'static str,
    pub(crate) about: About,
    /// Follows from others, and says less.
    pub(crate) summary: bool,
    pub(crate) text: String,
}

/// OpenSSL's alerts of a broker that asks for a certificate of ours, or does not trust the one it got.
const OURS: [&str; 5] = [
    "certificate required",
    "bad certificate",
    "unknown ca",
    "certificate unknown",
    "unexpected message",
];

/// librdkafka's account of a member that another one of its name took the place of.
const FENCED: &str = "same group.instance.id";

const FENCED_MEND: &str = "another reader of this group goes by the same name, and the two throw each other out: give each of them a name \
     of its own in [kafka] instance (unless set, it is the name of the machine), or a group of its own where each is \
     to read everything";

/// `reason` is librdkafka's own account of it. `None`: nothing that a person has to know.
pub(crate) fn of(error: &KafkaError, reason: &str, way: Way) -> Option<Trouble> {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code()?;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka's 150 codes; what is not named here needs nobody"
    )]
    let (kind, about, mend) = match code {
        Code::Authentication | Code::SaslAuthenticationFailed => {
            ("refused", About::Connection, login_mend(reason))
        }
        Code::SSL if is_closed(reason) => ("unreachable", About::Connection, reach_mend(reason)),
        Code::SSL => ("refused", About::Connection, tls_mend(reason)),
        // With TLS 1.3 a broker judges our certificate when the handshake is over for us.
        Code::BrokerTransportFailure if is_alert(reason) => {
            ("refused", About::Connection, tls_mend(reason))
        }
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve => {
            ("unreachable", About::Connection, reach_mend(reason))
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => ("refused", About::Topics, way.lacks()),
        // The client is made anew and throws the other one out in its turn.
        Code::Fatal | Code::FencedInstanceId if reason.contains(FENCED) => {
            ("refused", About::Group, FENCED_MEND)
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            ("odd", About::Topics, way.unknown())
        }
        _ => return None,
    };
    let summary = code == Code::AllBrokersDown;
    Some(Trouble { kind, about, summary, text: format!("{reason}; {}", way.named(mend)) })
}

/// What librdkafka tells its log alone: that a broker closed the connection, and why it may have. An e2e test with
/// a real Kafka fails should its words change.
pub(crate) fn of_line(facility: &str, line: &str, way: Way) -> Option<Trouble> {
    let reason = line.split_once("]: ").map_or(line, |(_, reason)| reason);
    let (kind, mend) = match facility {
        "FAIL" if is_alert(reason) => ("refused", tls_mend(reason)),
        "FAIL" if is_closed(reason) || reason.contains("SSL listener") => {
            ("unreachable", reach_mend(reason))
        }
        _ => return None,
    };
    let (about, text) = (About::Connection, format!("{reason}; {}", way.named(mend)));
    Some(Trouble { kind, about, summary: false, text })
}

/// OpenSSL's word for what the other side said before it closed.
fn is_alert(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    reason.contains("alert") && OURS.iter().any(|alert| reason.contains(alert))
}

/// The connection ended while TLS began. librdkafka then asks whether the port speaks TLS; a broker that restarts, or
/// whoever can cut connections, looks the same, so nobody is told to do without.
fn is_closed(reason: &str) -> bool {
    reason.contains("PLAINTEXT broker listener")
}

fn login_mend(reason: &str) -> &'static str {
    if reason.contains("supported by") || reason.contains("nsupported") {
        return "set [kafka] mechanism to one that the brokers offer";
    }
    "check [kafka] user, the password in password_file and mechanism"
}

fn tls_mend(reason: &str) -> &'static str {
    if is_alert(reason) {
        return "the broker asks for a certificate that it trusts: set [kafka] certificate and key to one \
                that its CA has signed and whose time is not over";
    }
    if reason.contains("wrong version number") || reason.contains("packet length") {
        return "this port does not seem to speak TLS: correct the port in [kafka] brokers";
    }
    if reason.to_lowercase().contains("verif") {
        return "set [kafka] ca to who signed the broker's certificate, name the brokers as the certificate \
                does, and see that its time is not over (openssl s_client -connect HOST:PORT shows it)";
    }
    "check [kafka] ca, certificate and key, and that this port speaks TLS"
}

fn reach_mend(reason: &str) -> &'static str {
    if is_closed(reason) {
        return "the connection was closed while TLS began: see that the broker is up, and that [kafka] brokers names \
                the port where it speaks TLS";
    }
    if reason.contains("SSL listener") {
        return "this port seems to speak TLS: set [kafka] ca, or tls = true";
    }
    "check [kafka] brokers, that the cluster is up and no firewall stands between; where this port speaks TLS, set \
     ca or tls = true"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_names_its_mend() {
        use RDKafkaErrorCode as Code;
        for (code, reason, kind, mend) in [
            (
                Code::Authentication,
                "SASL authentication error: invalid credentials",
                "refused",
                "password_file",
            ),
            (Code::SSL, "SSL handshake failed: certificate verify failed", "refused", "[kafka] ca"),
            (
                Code::SSL,
                "ssl/tls alert bad certificate: SSL alert number 42",
                "refused",
                "certificate and key",
            ),
            (
                Code::SSL,
                "SSL handshake failed: wrong version number",
                "refused",
                "correct the port",
            ),
            (
                Code::SSL,
                "closed by peer: connecting to a PLAINTEXT broker listener?",
                "unreachable",
                "while TLS began",
            ),
            (
                Code::BrokerTransportFailure,
                "connecting to a SSL listener?",
                "unreachable",
                "tls = true",
            ),
            (Code::AllBrokersDown, "1/1 brokers are down", "unreachable", "brokers"),
            (Code::TopicAuthorizationFailed, "doors", "refused", "kafka-acls"),
            (
                Code::Fatal,
                "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id",
                "refused",
                "[kafka] instance",
            ),
        ] {
            let trouble = of(&KafkaError::Global(code), reason, Way::Reads).unwrap();
            assert_eq!(trouble.kind, kind, "{reason}");
            assert!(trouble.text.starts_with(reason) && trouble.text.contains(mend), "{trouble:?}");
        }
        for code in [Code::RebalanceInProgress, Code::Fatal] {
            assert_eq!(of(&KafkaError::Global(code), "x", Way::Reads), None);
        }
        let line =
            "[thrd:b:1/bootstrap]: b:1/bootstrap: Disconnected: (connecting to a SSL listener?)";
        let trouble = of_line("FAIL", line, Way::Reads).unwrap();
        assert!(trouble.text.starts_with("b:1/bootstrap") && trouble.text.contains("tls = true"));
        let line = "[thrd:b:1/bootstrap]: b:1/bootstrap: Disconnected";
        assert_eq!(of_line("FAIL", line, Way::Reads), None);
    }

    #[test]
    fn who_publishes_is_told_what_a_publisher_needs_and_where_it_is_configured() {
        use RDKafkaErrorCode as Code;
        let own = Way::Publishes("[kafka.publish]");
        for (code, parts) in [
            (Code::TopicAuthorizationFailed, &["Write", "kafka-acls"][..]),
            (Code::ClusterAuthorizationFailed, &["IdempotentWrite"]),
            (Code::UnknownTopicOrPartition, &["make the topic", "[kafka.publish]"]),
            (Code::BrokerTransportFailure, &["check [kafka.publish] brokers"]),
        ] {
            let text = of(&KafkaError::Global(code), "x", own).unwrap().text;
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
