//! An answer, and how much of it arrives.

use hyper::{
    Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// How an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// As it should be.
    Whole,
    /// Not at all: the connection is dropped.
    Dropped,
    /// Half of the body, then the connection is dropped.
    Truncated,
}

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    pub(super) delivery: Delivery,
    pub(super) delay: Duration,
}

impl Reply {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
            delivery: Delivery::Whole,
            delay: Duration::ZERO,
        }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// What a proxy says when it cannot reach the service: a page, whatever the API speaks.
    pub(super) fn bad_gateway() -> Self {
        let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
        Self::new(502, "text/html", page)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The response for the wire; an error drops the connection.
    pub(super) fn into_response(self) -> io::Result<Response<Sending>> {
        if self.delivery == Delivery::Dropped {
            return Err(broken());
        }
        let mut response = Response::builder().status(StatusCode::from_u16(self.status).map_err(io::Error::other)?);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = if self.delivery == Delivery::Truncated {
            // A body of one byte or none has no middle: then the announced length alone is the lie.
            response = response.header("content-length", self.body.len().max(1));
            Sending { data: Some(self.body.slice(..self.body.len() / 2)), ending: Ending::Flush }
        } else {
            Sending { data: Some(self.body), ending: Ending::Clean }
        };
        response.body(body).map_err(io::Error::other)
    }
}

fn broken() -> io::Error {
    io::Error::other("the simulated connection broke")
}

/// A body on its way.
pub(super) struct Sending {
    data: Option<Bytes>,
    ending: Ending,
}

/// What comes after the data.
enum Ending {
    Clean,
    /// One turn of waiting, so that what was written so far goes out before the break.
    Flush,
    Break,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.ending {
            Ending::Clean => Poll::Ready(None),
            Ending::Flush => {
                self.ending = Ending::Break;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Break => Poll::Ready(Some(Err(broken()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.ending, &self.data) {
            (Ending::Clean, Some(data)) => SizeHint::with_exact(data.len() as u64),
            (Ending::Clean, None) => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.ending, Ending::Clean) && self.data.as_ref().is_none_or(Bytes::is_empty)
    }
}
