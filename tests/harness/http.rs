//! HTTP as a script would speak it, a connection a question.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Asks for a path; status and body.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
    )
    .await
}

/// Sends JSON to a path; status and body.
pub async fn post_json(address: SocketAddr, path: &str, json: &str) -> Result<(u16, String), String> {
    let length = json.len();
    ask(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{json}"
        ),
    )
    .await
}

/// Sends a request as it stands; status and body.
pub async fn ask(address: SocketAddr, request: &str) -> Result<(u16, String), String> {
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<String, std::io::Error>(answer)
    };
    let answer = answer.await.map_err(|error| error.to_string())?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or(answer)
}
