//! The protocol over a real socket: what trackers, browsers and scanners send.

mod support;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;
use support::{Answer, Running, body};

const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";

fn event(user: &str) -> Value {
    json!({ "e": "pv", "p": "web", "tv": "t", "uid": user })
}

fn users(running: &Running) -> Vec<String> {
    let rows = running.rows("json").into_iter();
    rows.map(|row| {
        row["enrich"]["user"]["user_id"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    })
    .collect()
}

#[test]
fn posts_and_pixels_are_stored_before_they_are_acknowledged() {
    let running = Running::start(|_| {});
    let answer = running.post(TP2, "", &body(&json!([event("a"), event("b")])));
    assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
    assert_eq!(users(&running), ["a", "b"]);
    assert_eq!(
        running
            .post("/com.shop/events", "", &body(&json!([event("c")])))
            .status,
        200
    );
    for path in ["/i", "/ice.png", TP2, "/com.shop/events"] {
        let answer = running.ask("GET", &format!("{path}?e=pv&p=web&uid={}", &path[1..2]), "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.len(), 43);
        assert!(answer.body.starts_with(b"GIF89a") && answer.body.ends_with(b";"));
        assert_eq!(answer.header("content-type"), Some("image/gif"));
        assert_eq!(
            answer.header("cache-control"),
            Some("no-cache, no-store, must-revalidate")
        );
    }
    let answer = running.ask("HEAD", "/i?e=pv&p=web&uid=h", "");
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("43"))
    );
    assert_eq!(users(&running), ["a", "b", "c", "i", "i", "c", "c", "h"]);
    assert_eq!(running.records("tsv").len(), 8);
    assert_eq!(running.records("bad").len(), 0);
}

#[test]
fn one_connection_serves_many_requests() {
    let running = Running::start(|_| {});
    let mut stream = running.connect();
    for number in 0..50 {
        let request = format!("GET /i?e=pv&p=web&uid=u{number} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sends");
        assert_eq!(
            Answer::read(&mut stream, false).expect("answers").status,
            200
        );
    }
    assert_eq!(users(&running).len(), 50);
}

#[test]
fn pages_of_any_origin_may_send_with_their_cookies() {
    let running = Running::start(|_| {});
    let origin = "Origin: http://localhost:3000\r\n";
    let answer = running.ask("OPTIONS", TP2, origin);
    assert_eq!(answer.status, 200);
    for (name, want) in [
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "Content-Type, SP-Anonymous"),
        ("access-control-max-age", "3600"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(want), "{name}");
    }
    assert_eq!(answer.header("access-control-allow-methods"), None);
    let answer = running.post(TP2, origin, &body(&json!([event("a")])));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    let answer = running.ask("GET", "/i?e=pv", "");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn origins_can_be_named() {
    let running = Running::start(|s| s.origins = vec!["https://shop.example".to_owned()]);
    let answer = running.ask("OPTIONS", TP2, "Origin: https://shop.example\r\n");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
    for other in ["Origin: https://evil.example\r\n", ""] {
        let answer = running.ask("OPTIONS", TP2, other);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn the_cookie_comes_back_as_the_network_user() {
    let running = Running::start(|_| {});
    let answer = running.ask("GET", "/i?e=pv&p=web", "");
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    let (pair, rest) = cookie.split_once("; ").expect("attributes");
    assert_eq!(rest, "Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax");
    let answer = running.post(
        TP2,
        &format!("Cookie: {pair}\r\n"),
        &body(&json!([event("a")])),
    );
    assert_eq!(answer.header("set-cookie"), Some(&*cookie));
    let rows = running.rows("json");
    let id = |row: &Value| row["enrich"]["user"]["network_userid"].clone();
    assert_eq!(id(&rows[0]), pair["sp=".len()..]);
    assert_eq!(id(&rows[0]), id(&rows[1]));

    let headers = format!("SP-Anonymous: *\r\nCookie: {pair}\r\n");
    let answer = running.post(TP2, &headers, &body(&json!([event("b")])));
    assert!(
        answer
            .header("set-cookie")
            .expect("expired")
            .starts_with("sp=; Max-Age=0")
    );
    let rows = running.rows("json");
    assert_eq!(id(&rows[2]), "00000000-0000-0000-0000-000000000000");
    assert_eq!(rows[2]["enrich"]["user"]["ip_address"], "unknown");
    assert_eq!(rows[1]["enrich"]["user"]["ip_address"], "127.0.0.1");
}

#[test]
fn the_other_paths_answer() {
    let running = Running::start(|_| {});
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/sink-health", 200),
        ("GET", "/robots.txt", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 404),
        ("GET", "/crossdomain.xml", 404),
        ("GET", "/r/tp2?u=http://a", 404),
        ("GET", "/a/b/c", 404),
        ("PUT", TP2, 405),
        ("TRACE", "/i", 405),
    ] {
        assert_eq!(
            running.ask(method, path, "").status,
            status,
            "{method} {path}"
        );
    }
    let robots = running.ask("GET", "/robots.txt", "");
    assert_eq!(robots.body, b"User-agent: *\nDisallow: /\n");
    let metrics = running.ask("GET", "/metrics", "");
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(
        text.contains("tidewheel_collector_requests_total{outcome=\"not_found\"} 6"),
        "{text}"
    );
}

#[test]
fn what_is_malformed_is_acknowledged_and_kept_as_bad() {
    let running = Running::start(|_| {});
    let plain = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
        );
        running.send(head.as_bytes()).status
    };
    let json = "Content-Type: application/json\r\n";
    assert_eq!(plain(TP2, json, "{"), 200);
    assert_eq!(plain(TP2, json, ""), 200);
    assert_eq!(plain(TP2, "Content-Type: text/plain\r\n", "{}"), 200);
    assert_eq!(
        plain(
            TP2,
            "Content-Type: application/json; charset=latin1\r\n",
            "{}"
        ),
        200
    );
    assert_eq!(plain(TP2, "", "{}"), 200);
    assert_eq!(plain("/com.acme/v1", json, "{}"), 200);
    assert_eq!(
        plain(TP2, &format!("{json}Content-Encoding: gzip\r\n"), "{}"),
        200
    );
    assert_eq!(running.ask("GET", "/wp-login/x?a=b", "").status, 200);
    assert_eq!(running.ask("GET", "/i", "").status, 200);
    assert_eq!(running.ask("GET", "/i?e=pv&uid=%ff", "").status, 200);
    let reasons: Vec<String> = running
        .rows("bad")
        .iter()
        .map(|row| row["failure"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(
        reasons,
        [
            "malformed_payload",
            "malformed_payload",
            "content_type",
            "content_type",
            "content_type",
            "unknown_path",
            "malformed_payload",
            "unknown_path",
            "invalid_parameter",
            "invalid_parameter",
        ]
    );
    assert_eq!(running.records("json").len(), 0);
}

#[test]
fn bodies_may_be_packed_and_are_bounded() {
    let running = Running::start(|s| {
        s.limits.body_bytes = 200_000;
        s.limits.payload_bytes = 100_000;
    });
    let packed = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("packs");
        encoder.finish().expect("packs")
    };
    let gzip = "Content-Encoding: gzip\r\n";
    let good = body(&json!([event("a")]));
    assert_eq!(running.post(TP2, gzip, &packed(&good)).status, 200);
    assert_eq!(users(&running), ["a"]);
    // Unpacked it is too large for a body; too large for a payload; too large as it came.
    assert_eq!(
        running
            .post(TP2, gzip, &packed(&vec![b' '; 300_000]))
            .status,
        413
    );
    assert_eq!(running.post(TP2, "", &vec![b' '; 150_000]).status, 200);
    assert_eq!(running.rows("bad")[0]["failure"], "size_violation");
    assert_eq!(running.post(TP2, "", &vec![b' '; 200_001]).status, 413);
    // In chunks, nobody says before how much will come.
    let mut chunked = b"POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nHost: x\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for part in good.chunks(7) {
        write!(chunked, "{:x}\r\n", part.len()).expect("writes");
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    let mut endless = chunked.clone();
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(running.send(&chunked).status, 200);
    assert_eq!(users(&running), ["a", "a"]);
    for _ in 0..30 {
        endless.extend_from_slice(b"2710\r\n");
        endless.extend(vec![b' '; 10_000]);
        endless.extend_from_slice(b"\r\n");
    }
    assert_eq!(running.send(&endless).status, 413);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let running = Running::start(|s| {
        s.limits.request_time = Duration::from_millis(100);
        s.limits.idle_time = Duration::from_millis(200);
    });
    let head = "POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    assert_eq!(running.send(head.as_bytes()).status, 408);
    // A head that does not end: the connection is closed.
    let mut stream = running.connect();
    stream.write_all(b"GET /i HTTP/1.1\r\nHost").expect("sends");
    assert!(Answer::read(&mut stream, false).is_none_or(|answer| answer.status == 408));
    assert_eq!(running.ask("GET", "/health", "").status, 200);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let running = Running::start(|s| s.limits.head_bytes = 8_192);
    let long = "x".repeat(20_000);
    let answer = running.ask("GET", &format!("/i?e=pv&page={long}"), "");
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
    let answer = running.ask("GET", "/i?e=pv", &format!("A: {long}\r\n"));
    assert_eq!(answer.status, 431);
    let many: String = (0..200).map(|number| format!("H{number}: x\r\n")).collect();
    assert_eq!(running.ask("GET", "/i?e=pv", &many).status, 431);
    assert_eq!(running.ask("GET", "/health", "").status, 200);
}

#[test]
fn connections_beyond_the_bound_wait_and_are_served() {
    let running = Running::start(|s| {
        s.limits.connections = 2;
        s.limits.idle_time = Duration::from_millis(300);
    });
    // Both places are taken by connections that send nothing; they are ended for that.
    let idle = [running.connect(), running.connect()];
    assert_eq!(
        running
            .ask("GET", "/i?e=pv&p=web&uid=a", "Connection: close\r\n")
            .status,
        200
    );
    drop(idle);
    assert_eq!(users(&running), ["a"]);
}

#[test]
fn memory_that_is_used_up_says_come_again() {
    let running = Running::start(|s| s.limits.memory_bytes = 400 << 10);
    let head = format!(
        "POST {TP2} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n"
    );
    let begin = || {
        let mut slow = running.connect();
        slow.write_all(head.as_bytes()).expect("sends");
        let short = Some(Duration::from_millis(1));
        slow.set_read_timeout(short).expect("sets");
        slow
    };
    let mut slow = begin();
    // Until the slow one holds its memory. It is refused itself, which is answered, where it comes
    // while another is under way.
    let good = body(&json!([event("a")]));
    let answer = loop {
        let answer = running.post(TP2, "", &good);
        if answer.status != 200 {
            break answer;
        }
        if slow.read(&mut [0]).is_ok() {
            slow = begin();
        }
    };
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    drop(slow);
    while running.post(TP2, "", &good).status != 200 {}
}

#[test]
fn hostile_bytes_do_not_end_it() {
    let running = Running::start(|_| {});
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..200 {
        let mut bytes: Vec<u8> = match round % 4 {
            0 => Vec::new(),
            1 => b"POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n".to_vec(),
            2 => b"GET /i?e=pv&".to_vec(),
            _ => b"GET /i HTTP/1.1\r\nCookie: sp=".to_vec(),
        };
        for _ in 0..8 {
            bytes.extend_from_slice(&next().to_le_bytes());
        }
        if round % 4 >= 2 {
            bytes.extend_from_slice(b"\r\n\r\n");
        }
        let mut stream = running.connect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // An answer, or the end of the connection: never silence.
        let _ = Answer::read(&mut stream, false);
    }
    assert_eq!(
        running.post(TP2, "", &body(&json!([event("a")]))).status,
        200
    );
    let metrics = running.ask("GET", "/metrics", "");
    let text = String::from_utf8(metrics.body).expect("text");
    assert!(
        text.contains("bad_rows_total{reason=\"collector_defect\"} 0"),
        "{text}"
    );
}

#[test]
fn what_is_under_way_is_finished_at_the_end() {
    let mut running = Running::start(|_| {});
    let mut stream = running.connect();
    let good = body(&json!([event("a")]));
    let head = format!(
        "POST {TP2} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        good.len()
    );
    stream.write_all(head.as_bytes()).expect("sends");
    // The server has begun to read it when a later request was answered.
    assert_eq!(running.ask("GET", "/health", "").status, 200);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| running.stop());
        stream.write_all(&good).expect("sends");
        assert_eq!(
            Answer::read(&mut stream, false).expect("answers").status,
            200
        );
        drop(stream);
        stopping.join().expect("stops");
    });
    assert_eq!(users(&running), ["a"]);
}
