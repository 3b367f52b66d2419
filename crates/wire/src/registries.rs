//! Questions for credentials and their answers across a client's stream.

use model::registries::{Credential, Question};
use model::{Error, Result};

use crate::Any;
use crate::api::endpoint::{AuthRequest, AuthResponse, AuthType};

/// The messages as containerd's clients know them.
pub struct Phrases;

impl model::registries::Phrases for Phrases {
    fn question(&self, question: Question) -> model::Any {
        let Question { host, reference, challenges } = question;
        Any::pack(&AuthRequest { host, reference, wwwauthenticate: challenges }).into()
    }

    fn answer(&self, message: model::Any) -> Result<Credential> {
        let any = Any::from(message);
        let wrong = |why: &str| {
            Error::invalid(format!("answer of type {:?} to a request for credentials{why}", any.type_url))
        };
        let answer = any.unpack::<AuthResponse>().ok_or_else(|| wrong(""))?;
        let AuthResponse { auth_type, secret, username, .. } =
            answer.map_err(|e| wrong(&format!(": {e}")))?;
        match AuthType::try_from(auth_type) {
            Ok(AuthType::None) => Ok(Credential::None),
            Ok(AuthType::Credentials) => Ok(Credential::Basic { username, secret }),
            Ok(AuthType::Refresh) => Ok(Credential::Refresh(secret)),
            Ok(AuthType::Header) => Ok(Credential::Header(secret)),
            Err(_) => Err(wrong(&format!(": kind {auth_type} is unknown"))),
        }
    }
}

/// A question, if the message is one, from the side of those who are asked.
pub fn read_question(message: model::Any) -> Option<Question> {
    let AuthRequest { host, reference, wwwauthenticate } = Any::from(message).unpack()?.ok()?;
    Some(Question { host, reference, challenges: wwwauthenticate })
}

/// An answer as a message.
pub fn answer_message(credential: Credential) -> model::Any {
    let (auth_type, username, secret) = match credential {
        Credential::None => (AuthType::None, String::new(), String::new()),
        Credential::Basic { username, secret } => (AuthType::Credentials, username, secret),
        Credential::Refresh(secret) => (AuthType::Refresh, String::new(), secret),
        Credential::Header(secret) => (AuthType::Header, String::new(), secret),
    };
    Any::pack(&AuthResponse { auth_type: auth_type.into(), secret, username, expire_at: None }).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::registries::Phrases as _;

    #[test]
    fn every_kind_of_answer_is_understood() {
        for (kind, expected) in [
            (AuthType::None, Credential::None),
            (AuthType::Credentials, Credential::Basic { username: "u".into(), secret: "s".into() }),
            (AuthType::Refresh, Credential::Refresh("s".into())),
            (AuthType::Header, Credential::Header("s".into())),
        ] {
            let auth_type = kind as i32;
            let answer =
                AuthResponse { auth_type, secret: "s".into(), username: "u".into(), expire_at: None };
            assert!(Phrases.answer(Any::pack(&answer).into()).is_ok_and(|got| got == expected), "{kind:?}");
            assert!(Phrases.answer(answer_message(expected.clone())).is_ok_and(|got| got == expected));
        }
        assert!(Phrases.answer(Any::pack(&AuthRequest::default()).into()).is_err());
        let question =
            Phrases.question(Question { host: "h".into(), reference: "h/r:t".into(), challenges: vec![] });
        assert_eq!(question.type_name(), "containerd.types.transfer.AuthRequest");
        assert!(read_question(question).is_some_and(|question| question.reference == "h/r:t"));
        assert!(read_question(answer_message(Credential::None)).is_none());
    }
}
