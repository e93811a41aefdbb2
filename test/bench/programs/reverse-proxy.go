package main

import (
	"crypto/tls"
	"crypto/x509"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

// Arguments: address to listen on, origin, token, file with the certificate to trust.
func main() {
	origin, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	proxy := httputil.NewSingleHostReverseProxy(origin)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 256}
	direct := proxy.Director
	proxy.Director = func(r *http.Request) { direct(r); r.Header.Set("Authorization", "Bearer "+os.Args[3]) }
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
