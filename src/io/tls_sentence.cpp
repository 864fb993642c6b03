#include "io/tls_sentence.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <vector>

namespace wspool::io {

namespace {

constexpr std::size_t names_shown_max = 5;
constexpr std::size_t name_size_max = 256;

std::string peer_of(TlsRole role) {
    return role == TlsRole::client ? "the server" : "the client";
}

std::string text_of(const ASN1_STRING* string) {
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(string));
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                     std::min(size, name_size_max));
    // A peer's bytes end up in a log: what is no printable ASCII stays out.
    for (char& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    return text;
}

std::string common_name(const X509_NAME* name) {
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0) return {};
    return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
}

std::string address_text(const ASN1_OCTET_STRING* address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && ASN1_STRING_length(address) != 16) return "?";
    inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
    return text.data();
}

std::vector<std::string> names_of(X509* certificate) {
    std::vector<std::string> names;
    const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> listed(
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        &GENERAL_NAMES_free);
    const int count = listed ? sk_GENERAL_NAME_num(listed.get()) : 0;
    for (int i = 0; i < count; ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(listed.get(), i);
        if (name->type == GEN_DNS) names.push_back(text_of(name->d.dNSName));
        if (name->type == GEN_IPADD) names.push_back(address_text(name->d.iPAddress));
    }
    if (names.empty()) {
        std::string name = common_name(X509_get_subject_name(certificate));
        if (!name.empty()) names.push_back(std::move(name));
    }
    return names;
}

std::string list_names(X509* certificate) {
    if (certificate == nullptr) return "another name";
    const std::vector<std::string> names = names_of(certificate);
    if (names.empty()) return "no name at all";
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < names_shown_max; ++i) {
        text.append(i == 0 ? "\"" : ", \"").append(names[i]).append("\"");
    }
    if (names.size() > names_shown_max) {
        text.append(" and ").append(std::to_string(names.size() - names_shown_max)).append(" more");
    }
    return text;
}

// "2026-11-23"
std::string day_of(const ASN1_TIME* time) {
    const std::unique_ptr<ASN1_GENERALIZEDTIME, decltype(&ASN1_GENERALIZEDTIME_free)> general(
        ASN1_TIME_to_generalizedtime(time, nullptr), &ASN1_GENERALIZEDTIME_free);
    if (!general || ASN1_STRING_length(general.get()) < 8) return "an unknown day";
    const std::string digits = text_of(general.get());
    return digits.substr(0, 4) + "-" + digits.substr(4, 2) + "-" + digits.substr(6, 2);
}

bool is_no_tls(int reason) {
    switch (reason) {
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_HTTP_REQUEST:
        case SSL_R_HTTPS_PROXY_REQUEST:
        case SSL_R_PACKET_LENGTH_TOO_LONG:
        case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
        case SSL_R_UNKNOWN_PROTOCOL:
        case SSL_R_BAD_RECORD_TYPE:
        case SSL_R_RECORD_LENGTH_MISMATCH:
            return true;
        default:
            return false;
    }
}

std::string reason_text(unsigned long code) {
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "an unknown error";
}

}  // namespace

std::string certificate_sentence(
    TlsRole role, int code, X509* certificate, X509* leaf, std::string_view expected) {
    const std::string whose = peer_of(role) + "'s certificate";
    const bool is_own = certificate == leaf;
    const std::string which = is_own ? whose : "an authority behind " + whose;
    switch (code) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return which + " expired on " +
                   (certificate != nullptr ? day_of(X509_get0_notAfter(certificate)) : "some day");
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return which + " is not valid before " +
                   (certificate != nullptr ? day_of(X509_get0_notBefore(certificate)) : "some day");
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return whose + " is for " + list_names(leaf) + ", not for \"" + std::string(expected) +
                   "\"";
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return whose + " is self-signed and not trusted; name it as the CA file to trust it";
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
            const std::string issuer =
                certificate != nullptr ? common_name(X509_get_issuer_name(certificate)) : "";
            return whose + " was issued by an authority that is not trusted" +
                   (issuer.empty() ? "" : ", \"" + issuer + "\"") +
                   "; name that authority's certificate as the CA file to trust it";
        }
        default:
            return whose + " is not accepted: " + X509_verify_cert_error_string(code);
    }
}

std::string tls_sentence(TlsRole role, bool is_handshake, unsigned long code) {
    const std::string peer = peer_of(role);
    const int reason = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) return "TLS failed: " + reason_text(code);
    if (is_handshake && is_no_tls(reason)) {
        return peer + " does not speak TLS: what it sent is none";
    }
    switch (reason) {
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return peer + " speaks no version of TLS that we do (1.2 and 1.3)";
        case SSL_R_NO_SHARED_CIPHER:
            return peer + " has no cipher in common with us";
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return peer + " showed no certificate, and has to";
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return peer + " wants to see a certificate of ours, and we have none for it";
        default:
            break;
    }
    if (reason > SSL_AD_REASON_OFFSET) {
        return peer + " refused to go on with TLS and says: " +
               SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
    }
    return (is_handshake ? "the TLS handshake with " + peer : "TLS with " + peer) +
           " failed: " + reason_text(code);
}

std::string take_tls_reason() {
    const unsigned long code = ERR_peek_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code))
        return std::string(ERR_reason_error_string(code) != nullptr ? ERR_reason_error_string(code)
                                                                    : "the system refused");
    return reason_text(code);
}

}  // namespace wspool::io
