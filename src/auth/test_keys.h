// For tests alone: keys that everybody has, and so are worth nothing.
#pragma once

#include <string_view>

namespace wspool::auth {

inline constexpr std::string_view test_secret = "0123456789abcdef0123456789abcdef";
inline constexpr std::string_view other_test_secret = "fedcba9876543210fedcba9876543210";
inline constexpr std::string_view rsa_private_key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDIGVnksPVXrj5D\n"
    "fthtzO4a6XmggkRuAduiTosQfhrRnxHtbXc2AOcW/AbHoqEvb49GZtEZZSFoLj6h\n"
    "Q96Qo0FK+qMNrzSU22Y522VmmpCR3wa3LEM1mDjpgnNITcSOnsJAtTmwNb0XyWVT\n"
    "4GxWFqZFUE+AbioeYWVIvGLQcoLAPACwtKSsGZ6cWT7WeLV49zUj+PZmj5P8V86x\n"
    "kFKHVdafta3WQExh2tWgOg1TcJQqZbL5vNSfMHW3mOUqNuxQTYJp4QNOXHWO8qHU\n"
    "XYOUy+M5KeWO3LY3/nMqrSE9fZlFhy6cS93dDtHPMoLuOF/SdnmxzJDAXOyd2pHL\n"
    "SXsOAHNnAgMBAAECggEACU+QrMEFMYbEk+xvkrBh9fOeOrdFCt9gQm2oL+TGR7HA\n"
    "qk0ZKnShTCL/B8QL/wKQZqS7HxTjGI9qT6OyVAWcsKn381ePOUv6Nj/8uGkByB/a\n"
    "FqTjHbfPEiKFTbx8pGxDurIUFJxzh4tSATSkpd7Y7sm9YUr+/7nldhx59pwVdG9h\n"
    "QbHFNUEY1trjfwbV+wKLQBrAlGzEjSOLggXwj2Alwqf7GvX73uaKvmq2th0lCA1/\n"
    "w9cxqxlvqQGz3nMvVluasZcHJEZR+uzUG+Ax7KRONg1IjLQh2NW6OSWmNk2gguzU\n"
    "or+cUpPbW4WTKkSLWDGcoT49O2nQd+63Zb1hP2PVNQKBgQDmv+23IGvI4sZCgoH9\n"
    "tY6RCmn+xzVsyFRtOkjUPhcX9mpWE0JW1MZUiaK7FUeizyygGPAfUZH9R0iTnVsg\n"
    "34Q7sR0fSo7CDld02FCvw0a8/QyUSjFwXckSbC38ara9ZWKV1iITSMT3oiBfVPQ8\n"
    "hBs0nK8zAIb6CJg5wa/8/1d/HQKBgQDd/stNKRknntFJpsAxYA3URg0AAJ5ybbgx\n"
    "W59sCvrnOYn8+gM4V3HM8Fs0HrECt5A6LejUgd41EzoKbu0wmDRuifIK8QCYKBlO\n"
    "FcE09c7zwIBTaPYbwU/GVPwHUc3M2C5fIxK92GW6fu0PbCBd1wcgaMey/GaEK6MG\n"
    "RpCNkKWhUwKBgQCgOr4S34x43h/Vp1IknqH0zUp1BFdwxlr5zfMsjkDy/sUwKAd0\n"
    "zCM8KKa7SjeIMlxGf4qd9MJvIcSf3DCfTxY/bOlQBTHERrksBdlhczP3n6/QeQSD\n"
    "hlxNUplMIb3rHi+q5BqdUXaUjhv0lsVSEFnj2rk9rSwNC1LJKFnQUG6tcQKBgQDF\n"
    "KayqZRwAQl+iyETeFW9y3pxhKiuPeb8jpzpaHQ5mGoZhdjMx8QgTek2mZrPTs/CW\n"
    "m3u0cXtHLEJaTda/WA8JNd8QtKdQfByta0jjnoUlnAzdB9W9JN2TSptkbNUZX88f\n"
    "k+jrT6xaDKzDC8dbUMT1ldn3L5BlRtRNmJJ+CL/yHQKBgDucPHZhhvy8MGae8rVL\n"
    "UrdJJoqKSg+aY/phqmtzhKeVlWk99lZbpy9UwlqAvGwgUvkmncZ3MDlfcdLMp7xJ\n"
    "cwfrHSluzDawfCLAL2UKGzLV17lTUltOYqRrXsRXfj3VujzG0KL7Lxcaf12EsyOa\n"
    "0cMP0/r/JumcmHdok1+oIeP3\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr std::string_view rsa_public_key =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyBlZ5LD1V64+Q37Ybczu\n"
    "Gul5oIJEbgHbok6LEH4a0Z8R7W13NgDnFvwGx6KhL2+PRmbRGWUhaC4+oUPekKNB\n"
    "SvqjDa80lNtmOdtlZpqQkd8GtyxDNZg46YJzSE3Ejp7CQLU5sDW9F8llU+BsVham\n"
    "RVBPgG4qHmFlSLxi0HKCwDwAsLSkrBmenFk+1ni1ePc1I/j2Zo+T/FfOsZBSh1XW\n"
    "n7Wt1kBMYdrVoDoNU3CUKmWy+bzUnzB1t5jlKjbsUE2CaeEDTlx1jvKh1F2DlMvj\n"
    "OSnljty2N/5zKq0hPX2ZRYcunEvd3Q7RzzKC7jhf0nZ5scyQwFzsndqRy0l7DgBz\n"
    "ZwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
inline constexpr std::string_view ec_private_key =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqovZr+o7qQyyeLzD\n"
    "0Ag45RrRHYjVbrg/kp7pDnx5YfChRANCAASdukcksD1S/59bTN6KkOdYPQD4Aqet\n"
    "3q9w1YItgCDyUuLe8BcqR8sJyiAjNLg9mR+6v9Nb5yHxeysLtW0CPHUz\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr std::string_view ec_public_key =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnbpHJLA9Uv+fW0zeipDnWD0A+AKn\n"
    "rd6vcNWCLYAg8lLi3vAXKkfLCcogIzS4PZkfur/TW+ch8XsrC7VtAjx1Mw==\n"
    "-----END PUBLIC KEY-----\n";

}  // namespace wspool::auth
