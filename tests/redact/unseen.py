"""A second labelled set, written from what issuers and authorities publish before any detector was run on it.

`labelled` was written beside the detectors; this one before any detector was run on it. Its first reading was
blind; the detectors were mended by what they missed there, so that what it says since then guards against
falling back and is no estimate for texts nobody has seen. Marks are those of `labelled`. Forms are those of the issuers' documentation and of the registries named below;
what is random in them is drawn, check digits are made by the published rules.
"""

import string
from functools import cache
from typing import Final

from tests.redact import labelled
from tests.redact.labelled import Labelled, card, cpf, digits, drawn, grouped, iban, unmarked

labelled.all_texts()  # drawn from the same source, before
_HEX: Final = "0123456789abcdef"
_UPPER: Final = string.ascii_uppercase
_B32: Final = _UPPER + "234567"
_SAFE: Final = string.ascii_letters + string.digits + "_-"


def _jwt() -> str:
    return (
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ"
        + ".eyJpc3MiOiJodHRwczovL2lkLnNob3AuaW8iLCJzdWIiOiI4ODEyMyJ9."
        + drawn(86, _SAFE)
    )


# What follows the marks stands in one piece nowhere in this file.
CREDENTIALS: Final = (
    # Git hosts, chats, payments
    "git clone https://oauth2:⟦credentials|glpat-" + drawn(20, _SAFE.replace("-", "")) + "⟧@gitlab.firma.de/a/b.git",
    "GITHUB_TOKEN=⟦credentials|ghs_" + drawn(36) + "⟧",
    "remote: https://x-access-token:⟦credentials|gho_" + drawn(36) + "⟧@github.com/acme/site",
    "token ⟦credentials|github_pat_" + drawn(22) + "_" + drawn(59) + "⟧ expires soon",
    "glrt: ⟦credentials|glrt-" + drawn(20) + "⟧", "CI_JOB_TOKEN is ⟦credentials|glcbt-64_" + drawn(20) + "⟧",
    "⟦credentials|xoxp-" + digits(12) + "-" + digits(12) + "-" + digits(13) + "-" + drawn(32, _HEX) + "⟧",
    '{"slack": "⟦credentials|xapp-1-A' + drawn(10, _UPPER) + "-" + digits(13) + "-" + drawn(64, _HEX) + '⟧"}',
    "https://⟦credentials|hooks.slack.com/services/T" + drawn(10, _B32) + "/B" + drawn(10, _B32) + "/" + drawn(24) + "⟧",
    "https://discord.com/api/webhooks/⟦credentials|" + digits(18) + "/" + drawn(68, _SAFE) + "⟧",
    "bot ⟦credentials|" + digits(10) + ":AA" + drawn(33, _SAFE) + "⟧ was added (Telegram)",
    "stripe.api_key = '⟦credentials|rk_" + "live_" + drawn(24) + "⟧'", "⟦credentials|sk_" + "live_51" + drawn(97) + "⟧",
    "webhook ⟦credentials|whsec_" + drawn(32) + "⟧", "SQUARE ⟦credentials|EAAA" + drawn(60, _SAFE) + "⟧", "⟦credentials|sq0csp-" + drawn(43, _SAFE) + "⟧",
    # Clouds
    "aws_access_key_id = ⟦credentials|ASIA" + drawn(16, _B32) + "⟧\nregion = eu-west-1",
    "[default]\naws_secret_access_key = ⟦credentials|" + drawn(40, string.ascii_letters + string.digits + "/+") + "⟧\n",
    '"SecretAccessKey": "⟦credentials|' + drawn(40) + '⟧",',
    "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=⟦credentials|" + drawn(86) + "==⟧;EndpointSuffix=core.windows.net",
    "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=⟦credentials|" + drawn(43) + "=⟧",
    "https://shop.blob.core.windows.net/c/f.csv?sv=2024-11-04&ss=b&sp=r&se=2026-12-01&sig=⟦credentials|" + drawn(43) + "%3D⟧",
    "AZURE_CLIENT_SECRET=⟦credentials|" + drawn(3) + "8Q~" + drawn(34, _SAFE) + "⟧",
    '"private_key": "⟦credentials|-----BEGIN ' + "PRIVATE KEY-----\\n" + drawn(64) + "\\n" + drawn(64) + '⟧\\n-----END PRIVATE KEY-----\\n"',
    "maps key AIza⟦x|⟧: ⟦credentials|AIzaSy" + drawn(33, _SAFE) + "⟧", "ya29: ⟦credentials|ya29.a0" + drawn(80, _SAFE) + "⟧",
    '"client_secret":"⟦credentials|GOCSPX-' + drawn(28, _SAFE) + '⟧"', "⟦credentials|do" + "p_v1_" + drawn(64, _HEX) + "⟧",
    "HEROKU_API_KEY=⟦credentials|HRKU-" + drawn(60, _SAFE) + "⟧", "⟦credentials|LTAI" + drawn(20) + "⟧ (Alibaba)",
    # Models
    "OPENAI_API_KEY=⟦credentials|sk-" + "proj-" + drawn(74, _SAFE) + "T3BlbkFJ" + drawn(74, _SAFE) + "⟧", "old: ⟦credentials|sk-" + drawn(20) + "T3BlbkFJ" + drawn(20) + "⟧",
    "x-api-key: ⟦credentials|sk-" + "ant-api03-" + drawn(93, _SAFE) + "AA⟧", "⟦credentials|sk-" + "or-v1-" + drawn(64, _HEX) + "⟧",
    "login(token='⟦credentials|hf_" + drawn(34, string.ascii_letters) + "⟧')", "⟦credentials|gsk_" + drawn(52) + "⟧", "⟦credentials|xai-" + drawn(80) + "⟧",
    "⟦credentials|pplx-" + drawn(48) + "⟧", "REPLICATE ⟦credentials|r8_" + drawn(37) + "⟧", "LANGSMITH ⟦credentials|lsv2_pt_" + drawn(32, _HEX) + "_" + drawn(10, _HEX) + "⟧",
    "⟦credentials|tvly-" + drawn(32) + "⟧ for Tavily", "⟦credentials|nvapi-" + drawn(64, _SAFE) + "⟧", "⟦credentials|fw_" + drawn(24) + "⟧ (Fireworks)",
    # Packages, operations
    "//registry/:_authToken=⟦credentials|npm_" + drawn(36) + "⟧", "password = ⟦credentials|pypi-AgEIcHlwaS5vcmc" + drawn(140, _SAFE) + "⟧",
    "⟦credentials|rubygems_" + drawn(48, _HEX) + "⟧", "⟦credentials|dckr_pat_" + drawn(27, _SAFE) + "⟧", "VAULT_TOKEN=⟦credentials|hvs.CAESI" + drawn(90, _SAFE) + "⟧",
    "⟦credentials|glsa_" + drawn(32) + "_" + drawn(8, _HEX) + "⟧ Grafana", "DD_API_KEY=⟦credentials|" + drawn(32, _HEX) + "⟧", "⟦credentials|NRAK-" + drawn(27, _UPPER + string.digits) + "⟧",
    "⟦credentials|sntrys_eyJpYXQiOjE3" + drawn(80) + "⟧", "⟦credentials|SG." + drawn(22, _SAFE) + "." + drawn(43, _SAFE) + "⟧", "MAILGUN ⟦credentials|key-" + drawn(32, _HEX) + "⟧",
    "⟦credentials|" + drawn(32, _HEX) + "-us14⟧ mailchimp_api_key", "TWILIO ⟦credentials|SK" + drawn(32, _HEX) + "⟧", "⟦credentials|dapi" + drawn(32, _HEX) + "⟧", "⟦credentials|lin_api_" + drawn(40) + "⟧",
    "⟦credentials|shpat_" + drawn(32, _HEX) + "⟧", "notion ⟦credentials|ntn_" + drawn(46) + "⟧", "⟦credentials|figd_" + drawn(40, _SAFE) + "⟧", "⟦credentials|PMAK-" + drawn(24, _HEX) + "-" + drawn(34, _HEX) + "⟧",
    "⟦credentials|ATATT3xFfGF0" + drawn(180, _SAFE) + "⟧ Atlassian", "⟦credentials|pul-" + drawn(40, _HEX) + "⟧", "⟦credentials|tskey-auth-k" + drawn(10) + "CNTRL-" + drawn(32) + "⟧", "⟦credentials|AGE-SECRET-KEY-1" + drawn(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L") + "⟧",
    # Whatever the issuer
    "Authorization: Bearer ⟦credentials|" + _jwt() + "⟧", '{"id_token":"⟦credentials|' + _jwt() + '⟧","n":1}',
    "Authorization: Basic ⟦credentials|YWRtaW46" + drawn(16) + "==⟧", "Proxy-Authorization: Basic ⟦credentials|dXNlcjE6" + drawn(12) + "⟧",
    "-----BEGIN " + "OPENSSH PRIVATE KEY-----\n⟦credentials|b3BlbnNzaC1rZXktdjEA" + drawn(50) + "\n" + drawn(70) + "⟧\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN " + "EC PRIVATE KEY-----\n⟦credentials|MHcCAQEEI" + drawn(55) + "⟧\n", "-----BEGIN " + "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB12\n\n⟦credentials|" + drawn(64) + "⟧\n",
    "postgresql+psycopg://svc:⟦credentials|kT9-wq_27Lm⟧@10.2.3.4:5432/orders", "mysql://root:⟦credentials|v%40lid8Pass⟧@mysql-prod.shop.io/app", "mongodb+srv://api:⟦credentials|Qz81LLpw0x⟧@c0.ab1cd.mongodb.net/?w=1",
    "redis://:⟦credentials|p1x9Rr77aQ⟧@cache.shop.io:6379/0", "amqp://worker:⟦credentials|mU7gg2kk⟧@mq.shop.io//", "https://deploy:⟦credentials|8fK2mmQ1zz⟧@artifacts.shop.io/simple", "sftp://bob:⟦credentials|Xy7_pPq22⟧@files.shop.io",
    "Server=tcp:sql.shop.io,1433;User ID=sa;Password=⟦credentials|Wn4!rr80pq⟧;Encrypt=True", "jdbc:postgresql://db.shop.io/x?user=app&password=⟦credentials|zR5tt91mQ⟧", "host=db user=app password=⟦credentials|nnL02kxq⟧ dbname=x",
    "DB_PASSWORD: ⟦credentials|Gr8-h0rse-77⟧", "passwd = ⟦credentials|kk28sLqz⟧", "--password ⟦credentials|9sKq2LLm⟧ --host x", "mysql -u root -p⟦credentials|Xk2299ssq⟧ shop", "curl -u admin:⟦credentials|Lq88wkz0P⟧ https://x.shop.io",
    "sshpass -p ⟦credentials|hT55qplw⟧ ssh a@b", "my password is ⟦credentials|Tr1ck-Pony-9⟧, please log in", "Das Passwort lautet: ⟦credentials|Sonne!2931x⟧", "mot de passe : ⟦credentials|Lune_8821k⟧", "contraseña: ⟦credentials|Sol99qwe!r⟧",
    "Set-Cookie: ⟦credentials|session=" + drawn(40) + "⟧; HttpOnly", "X-Auth-Token: ⟦credentials|" + drawn(32, _HEX) + "⟧", "https://api.shop.io/v1?api_key=⟦credentials|" + drawn(32, _HEX) + "⟧&q=a", "https://x.io/cb#access_token=⟦credentials|" + drawn(40) + "⟧&t=1",
    '{"username":"kim","password":"⟦credentials|mn8!kRow2⟧"}', '{\\"pwd\\": \\"⟦credentials|h8Jk2lm0⟧\\"}', "<password>⟦credentials|op99LLqr⟧</password>", "secretKey: '⟦credentials|" + drawn(44) + "⟧'", "auth_token=⟦credentials|" + drawn(24) + "⟧",
)  # fmt: skip
# ITU-T E.123 and what the countries' regulators and people write.
PHONES: Final = (
    "+1 202 555 0143", "+1-416-555-0199", "(312) 555-0142", "312-555-0142", "+44 7911 123456", "+44 (0)20 7946 0958", "020 7946 0958", "+49 (0)89 636-48018",
    "089 / 636 48018", "+49 171 5551234", "+33 1 70 18 99 00", "01 70 18 99 00", "+39 06 698 12345", "+34 612 34 56 78", "+351 21 123 4567", "+31 20 794 0800",
    "+32 2 555 12 12", "+41 44 668 18 00", "+43 1 58858-0123", "+46 8 123 456 78", "+47 22 12 34 56", "+45 32 12 34 56", "+358 9 123 4567", "+48 22 555 01 01",
    "+420 222 123 456", "+36 1 555 0123", "+30 21 0123 4567", "+90 212 555 01 23", "+7 495 123-45-67", "+86 10 6552 9988", "+86 138 0013 8000", "+81 3-1234-5678",
    "+82-2-312-3456", "+91 98765 43210", "+61 2 5550 1234", "+64 9 123 4567", "+55 11 91234-5678", "+52 55 1234 5678", "+54 11 4321-0987", "+27 21 123 4567", "+234 803 123 4567",
    "0044 20 7946 0958", "+972-3-123-4567", "+971 4 123 4567", "+65 6123 4567",
)  # fmt: skip
_IN: Final = ("Call {} today", '{{"phone": "{}"}}', "Kontakt: {}.", "{}")
# The lengths and forms of the IBAN registry (SWIFT), twenty and more countries.
_BBANS: Final = (
    ("AT", digits(16)), ("BE", digits(12)), ("BG", "BNBG" + digits(14)), ("CH", digits(17)), ("CY", digits(8) + drawn(16, _UPPER + string.digits)), ("CZ", digits(20)), ("DE", digits(18)),
    ("DK", digits(14)), ("EE", digits(16)), ("ES", digits(20)), ("FI", digits(14)), ("FR", digits(23)), ("GB", "MIDL" + digits(14)), ("GR", digits(23)), ("HR", digits(17)), ("HU", digits(24)),
    ("IE", "AIBK" + digits(14)), ("IT", "X" + digits(22)), ("LT", digits(16)), ("LU", digits(16)), ("LV", "PARX" + digits(13)), ("MT", "MALT" + digits(23)), ("NL", "RABO" + digits(10)),
    ("PL", digits(24)), ("PT", digits(21)), ("RO", "BRDE" + digits(16)), ("SE", digits(20)), ("SI", digits(15)), ("SK", digits(20)), ("TR", digits(22)), ("SA", digits(20)), ("AE", digits(19)),
    ("MU", "BOMM" + digits(19) + "MUR"), ("QA", "DOHB" + digits(21)), ("KW", "CBKU" + digits(22)), ("GE", "NB" + digits(16)), ("KZ", digits(16)), ("PK", "SCBL" + digits(16)), ("MD", "AG" + digits(18)), ("XK", digits(16)),
)  # fmt: skip
IBANS: Final = tuple(iban(country, bban) for country, bban in _BBANS)
# ISO/IEC 7812 ranges as the schemes publish them.
CARDS: Final = (
    card("4"), card("4", 13), card("51"), card("5555"), card("2221"), card("2720"), card("34", 15), card("37", 15), card("6011"), card("65"), card("644"), card("36", 14), card("3095", 14),
    card("3528"), card("3589"), card("6200"), card("8100"), card("5018"), card("6304"), card("6521"), card("2200"), card("9792"),
)  # fmt: skip
_CARD_IN: Final = (
    "card number {}",
    "Kreditkarte: {}",
    "{} exp 04/28 cvv 123",
    '{{"cardNumber":"{}"}}',
)


def _nhs() -> str:
    while True:
        body = digits(9)
        check = 11 - sum(int(d) * w for d, w in zip(body, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            number = body + str(check % 11)
            return f"{number[:3]} {number[3:6]} {number[6:]}"


def _bsn() -> str:
    while True:
        number = "1" + digits(8)
        if (
            sum(int(d) * w for d, w in zip(number, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True)) % 11
            == 0
        ):
            return number


def _pesel() -> str:
    body = "85" + "0714" + digits(4)
    return body + str(
        -sum(int(d) * w for d, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True)) % 10
    )


def _ahv() -> str:
    body = "756" + digits(9)
    check = -sum(int(d) * (1 + 2 * (i % 2)) for i, d in enumerate(body)) % 10
    return f"{body[:3]}.{body[3:7]}.{body[7:11]}.{body[11:]}{check}"


def _sin() -> str:
    number = card("1", 9)
    return f"{number[:3]} {number[3:6]} {number[6:]}"


IDS: Final = (
    "SSN 219-09-⟦x|⟧: ⟦national_id|512-44-8271⟧", "Social Security Number is ⟦national_id|402-33-1188⟧", '{"social_security_number": "⟦national_id|233-19-4410⟧"}', "ssn=⟦national_id|345678123⟧",
    "ITIN: ⟦national_id|912-78-1234⟧", "CPF ⟦national_id|" + cpf().replace(".", "").replace("-", "") + "⟧", "o CPF do cliente é ⟦national_id|" + cpf() + "⟧", "SIN (Canada): ⟦national_id|" + _sin() + "⟧",
    "NHS number ⟦national_id|" + _nhs() + "⟧", "BSN: ⟦national_id|" + _bsn() + "⟧", "PESEL ⟦national_id|" + _pesel() + "⟧", "AHV-Nr. ⟦national_id|" + _ahv() + "⟧", "NI number: ⟦national_id|JG103759A⟧",
    "National Insurance: ⟦national_id|AA 37 07 73 A⟧", "NIE ⟦national_id|Y2345678Z⟧", "DNI ⟦national_id|12345679S⟧", "codice fiscale ⟦national_id|BRNGNN70A01L219C⟧", "Personnummer ⟦national_id|811228-9874⟧", "CPR ⟦national_id|211062-5629⟧",
    "passport no. ⟦national_id|C01X00T47⟧", "Aadhaar: ⟦national_id|2341 2341 2346⟧", "PAN (income tax) ⟦national_id|AFZPK7190K⟧", "身份证 ⟦national_id|440308199901101512⟧", "Steuer-Identifikationsnummer ⟦national_id|65 929 970 489⟧", "driver license ⟦national_id|D1234562⟧",
)  # fmt: skip
EMAILS: Final = (
    "write to ⟦email|maria.garcia-lopez@correo.com.mx⟧", "<⟦email|postmaster@xn--bcher-kva.de⟧>", '"⟦email|o\'neill@mail.ie⟧"', "⟦email|first_last+tag@sub.domain.museum⟧;⟦email|b@c.io⟧", "⟦email|user@müller.de⟧", "ping ⟦email|a1@b2.co.kr⟧.", "user_email=⟦email|k%2B1@x.org⟧&n",
    "mail=⟦email|x.y%40shop.io⟧", "To: Bob \\u003c⟦email|bob@firm.eu⟧\\u003e", "⟦email|ПОЧТА@пример.рф⟧",
)  # fmt: skip
ADDRESSES: Final = (
    "client ⟦ip|151.101.1.69⟧", "GET / from ⟦ip|45.33.32.156⟧:52011", "[⟦ip|2606:4700:4700::1111⟧]:443", "remote_addr=⟦ip|80.187.100.22⟧,", "peer ⟦ip|2001:4860:4860:0:0:0:0:8888⟧", '"ip":"⟦ip|5.9.0.14⟧"', "⟦ip|185.60.216.35⟧/32", "ip_v4: ⟦ip|77.88.8.8⟧",
)  # fmt: skip
HARMLESS: Final = (
    "id 018f4d8e-7c1a-7b3e-9a55-3f0f2f1f9b10", "sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709", "md5: 9e107d9d372bb6826bd81d3542a419d6", "sha512-" + drawn(86) + "==", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "ts=1763712345.123456", "1763712345123", "2026-11-21T14:45:32.123456789Z", "20261121144532", "order no 4929000000006", "Bestellung 302-1234567-1234567", "INV-2026-0000123456", "tracking 1Z999AA10123456784", "parcel 00340434161094042557",
    "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0a", "iVBORw0KGgo" + drawn(80), "v10.15.7", "numpy 1.26.4, torch 2.3.1+cu121", "openssl 3.0.2.11", "GLIBC_2.34", "192.168.0.1 and 172.16.5.4 and 10.255.255.255",
    "198.51.100.23 is for documentation, like 2001:db8::1", "255.255.255.0", "0.0.0.0:8080", "SELECT id, email, password_hash FROM users WHERE token IS NOT NULL", "INSERT INTO cards (number, cvv) VALUES (?, ?)", "def get_token(self, key: str) -> str:", "const password = await prompt('Password: ')",
    "if (!secret) throw new Error('secret missing')", "password: string;", "api_key: str | None = None", "api_key=os.getenv('OPENAI_API_KEY')", "token = get_token()", "password=password", "secret_key=settings.SECRET_KEY", "headers={'Authorization': f'Bearer {token}'}", "Authorization: Bearer $TOKEN", "Authorization: Bearer <token>",
    "kubectl create secret generic x", "#ff8800 #1e90ff", "rgba(255, 136, 0, 0.5)", "ISBN 978-0-306-40615-7", "ISBN-10: 0-306-40615-2", "ISSN 2049-3630", "doi 10.1000/182", "EAN 5901234123457", "GTIN 00012345600012", "IMEI 490154203237518", "VIN 1M8GDM9AXKP042788", "BTC 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", "temperature 36.6, 98.6", "3.14159265358979323846", "52.5200,13.4050", "1.234.567,89 EUR", "$1,234,567.89", "12 345 678,90", "1e-10", "0.1234567890123456", "+1.5 %", "+100 000 users", "p=0.05, n=1234567", "1-2-3-4-5", "10-20-30-40", "08:15-16:45", "21.11.2026", "11/21/2026", "2026-W47",
    "Room 101-102-1033", "part no. 123-456-7890123", "ext. 555-0100", "line 123, column 456", "chr1:123456-7891011", "rs123456789", "PMC1234567", "arXiv:2301.12345", "CVE-2024-123456", "RFC 3339", "ISO 8601:2004", "AS15169", "port 65535", "error 0x80070005", "E1234567", "SKU AB-1234-CD", "PO 4500123456", "customer 10023456", "case 00123456",
    "chatcmpl-AbCdEf0123456789AbCdEf0123456", "call_a1B2c3D4e5F6g7H8i9J0k1L2", "toolu_01XyZ9AbCdEfGhIjKlMnOpQr", "resp_68a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5", "run_abc123 thread_def456 asst_ghi789", "msg_01AbCdEfGhIjKlMnOpQrStUv", "file-AbCdEfGhIjKlMnOp", "cus_NffrFeUfNV2Hib", "pi_3MtwBwLkdIwHu7ix28a3tqPa", "pk_live_" + drawn(24), "G-ABC123DEF4", "UA-12345678-1",
    "arn:aws:s3:::bucket/key", "gs://bucket/o", "s3://b/2026/11/21/part-00000-" + "3f2a1b.snappy.parquet", "/var/log/pods/x_7f9c6d5b8-abcde/0.log", "C:\\Windows\\System32", "https://x.io/a/b?utm_source=nl&id=12345678901", "@media (min-width: 600px)", "@Override", "npm i @babel/core@7.24.0", "foo@1.2.3", "git@gitlab.com:a/b.git", "user@host:~$ ls", "a@b", "@@ -1,7 +1,7 @@",
    "std::vector<int>::iterator", "Foo::Bar::baz", "12:30:45.678", "aa:bb:cc:dd:ee:ff", "DEAD:BEEF", "2 Kings 4:32-35", "the secret of success: work hard", "token: a unit of text", "session: 14", "Key: value", "keyword: apple", "The key is under the mat.", "cookie: chocolate chip", "credential stuffing", "pass: 12, fail: 3", "passed: 1234", "password reset link sent",
    "Max tokens: 4096", "prompt_tokens=1200 completion_tokens=300", "monkey=banana", "primary_key=id", "sort_key: created_at", "foreign key: user_id", "public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + drawn(43), "-----BEGIN CERTIFICATE-----\nMIID" + drawn(60), "-----BEGIN PUBLIC KEY-----\nMIIB" + drawn(60), "fingerprint SHA256:" + drawn(43),
    "DE is Germany, GB20 is a badge", "FR12 3456", "MD5 AES256 SHA3", "AB12CD34EF56", "LH 1234, BA2490", "PNR X4T9QZ", "Boeing 747-400, A320-200", "4242424242424242 is Stripe's test card", "5555 5555 5555 4444", "GB29 NWBK 6016 1331 9268 19", "123-45-6789", "000-00-0000", "999-99-9999", "111-22-3333 parts", "1234 5678 9012 3456", "0000 0000 0000 0000", "4444 3333 2222 1111 0",
    "score 4916 2345 8812 1100 (no card)", "matrix 4111 5222 6333 4444", "meter 12345678901234", "batch 3000000000000004", "[0.0123, -0.4567, 0.8910]", "embedding: 0.01,0.02,0.03", "id=36000000000008",
)  # fmt: skip


@cache
def all_texts() -> tuple[Labelled, ...]:
    """The same in every process: made once, in one order."""
    marked = (
        *CREDENTIALS,
        *(place.format(f"⟦phone|{number}⟧") for number in PHONES for place in _IN),
        *(place.format(f"⟦iban|{one}⟧") for number in IBANS for one in (number, grouped(number)) for place in ("{}", "IBAN {} bitte")),
        *(_CARD_IN[i % 4].format(f"⟦card|{one}⟧") for i, number in enumerate(CARDS) for one in (number, grouped(number), grouped(number, "-"))),
        *IDS, *EMAILS, *ADDRESSES, *HARMLESS,
    )  # fmt: skip
    return tuple(unmarked(one) for one in marked)
