// Certificates for tests, made on the spot: an authority that tests trust, another that they do
// not, and whatever these are asked to sign. Files in a directory that goes with the object. Tests
// only.
#pragma once

#include "io/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace wspool::io {

struct CertificateFiles {
    std::string certificate_file;
    std::string key_file;
};

enum class Issuer { trusted, unknown, itself };

struct CertificateWishes {
    std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";  // as OpenSSL writes them; "": none
    Issuer issuer = Issuer::trusted;
    int days_from = -1;  // from today
    int days_to = 30;
    std::string common_name = "wspool test";
};

class TestCertificates {
  public:
    TestCertificates() {
        std::string pattern = "/tmp/wspool-tls-test-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) std::abort();
        directory_ = pattern;
        trusted_ = make_authority("wspool test authority");
        unknown_ = make_authority("an unknown authority");
        ca_file_ = write_certificate("ca", trusted_.certificate.get());
    }
    ~TestCertificates() { std::filesystem::remove_all(directory_); }
    TestCertificates(const TestCertificates&) = delete;
    TestCertificates& operator=(const TestCertificates&) = delete;

    [[nodiscard]] const std::string& ca_file() const { return ca_file_; }
    [[nodiscard]] const std::string& directory() const { return directory_; }

    [[nodiscard]] CertificateFiles make(const CertificateWishes& wishes = {}) {
        Made made;
        made.key = make_key();
        const Made* issuer = wishes.issuer == Issuer::trusted   ? &trusted_
                             : wishes.issuer == Issuer::unknown ? &unknown_
                                                                : &made;
        made.certificate = make_certificate(wishes, made.key.get());
        X509* certificate = made.certificate.get();
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate.get()));
        if (!wishes.names.empty()) {
            add_extension(certificate, NID_subject_alt_name, wishes.names);
        }
        X509_sign(certificate, issuer->key.get(), EVP_sha256());
        const std::string stem = std::to_string(++count_);
        return {write_certificate(stem, certificate), write_key(stem, made.key.get())};
    }

  private:
    using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
    using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
    struct Made {
        Key key{nullptr, &EVP_PKEY_free};
        Certificate certificate{nullptr, &X509_free};
    };

    static Key make_key() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }

    Certificate make_certificate(const CertificateWishes& wishes, EVP_PKEY* key) {
        Certificate made(X509_new(), &X509_free);
        constexpr long day = 24 * 60 * 60;
        X509_set_version(made.get(), 2);
        ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial_);
        X509_gmtime_adj(X509_getm_notBefore(made.get()), wishes.days_from * day);
        X509_gmtime_adj(X509_getm_notAfter(made.get()), wishes.days_to * day);
        X509_set_pubkey(made.get(), key);
        X509_NAME_add_entry_by_txt(
            X509_get_subject_name(made.get()),
            "CN",
            MBSTRING_ASC,
            reinterpret_cast<const unsigned char*>(wishes.common_name.c_str()),
            -1,
            -1,
            0);
        return made;
    }

    static void add_extension(X509* certificate, int kind, const std::string& value) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }

    Made make_authority(const std::string& name) {
        Made made;
        made.key = make_key();
        CertificateWishes wishes;
        wishes.common_name = name;
        made.certificate = make_certificate(wishes, made.key.get());
        X509_set_issuer_name(made.certificate.get(), X509_get_subject_name(made.certificate.get()));
        add_extension(made.certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
        X509_sign(made.certificate.get(), made.key.get(), EVP_sha256());
        return made;
    }

    std::string write_certificate(const std::string& stem, X509* certificate) const {
        const std::string path = directory_ + "/" + stem + ".pem";
        std::FILE* file = std::fopen(path.c_str(), "w");
        PEM_write_X509(file, certificate);
        std::fclose(file);
        return path;
    }

    std::string write_key(const std::string& stem, EVP_PKEY* key) const {
        const std::string path = directory_ + "/" + stem + ".key";
        std::FILE* file = std::fopen(path.c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        return path;
    }

    std::string directory_;
    Made trusted_;
    Made unknown_;
    std::string ca_file_;
    int count_ = 0;
    long serial_ = 0;
};

// One set for a whole test program.
inline TestCertificates& test_certificates() {
    static TestCertificates certificates;
    return certificates;
}

// A client that trusts the test authority, and a server that it signed for "localhost".
inline const TlsClient& test_client() {
    static const TlsClient client = [] {
        TlsClientOptions options;
        options.ca_file = test_certificates().ca_file();
        return TlsClient::make(options).value();
    }();
    return client;
}

inline const TlsServer& test_server() {
    static const TlsServer server = [] {
        const CertificateFiles files = test_certificates().make();
        TlsServerOptions options;
        options.certificate_file = files.certificate_file;
        options.key_file = files.key_file;
        // Tickets that a client has not read when it closes would turn its end into a reset.
        options.session_tickets = 0;
        return TlsServer::make(options).value();
    }();
    return server;
}

}  // namespace wspool::io
