import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Offers HTTP/2 with Upgrade: h2c on its requests, and sends what it streams in chunks. */
class JavaClient {
  static final HttpClient client = HttpClient.newHttpClient();
  static final String base = env("BASE");

  public static void main(String[] args) throws Exception {
    System.out.println("earlier " + ask("GET", base + env("LIST"), env("EARLIER"), none()).statusCode());

    String form = "username=nobody&password=n0nsense%20%26&grant_type=Password";
    HttpRequest signingIn = HttpRequest.newBuilder(URI.create(base + env("TOKEN")))
        .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
        .POST(BodyPublishers.ofString(form))
        .build();
    HttpResponse<String> signedIn = client.send(signingIn, BodyHandlers.ofString());
    System.out.println("signed-in " + signedIn.statusCode());
    String token = find("\"access_token\": *\"([^\"]+)", signedIn.body());
    System.out.println("token " + token);

    int items = 0;
    for (URI at = URI.create(base + env("LIST")); at != null; ) {
      String page = text(ask("GET", at.toString(), token, none()));
      Matcher ids = Pattern.compile("\"id\":\"").matcher(page);
      while (ids.find()) items++;
      String next = find("\"next\":\\{\"href\":\"([^\"]+)", page);
      at = next == null ? null : at.resolve(next);
    }
    System.out.println("items " + items);

    byte[] bytes = ask("GET", base + env("DOWNLOAD"), token, none()).body();
    String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    System.out.println("download " + hash);
    Path file = Path.of(env("FILE"));
    String whole = text(ask("POST", base + env("UPLOAD"), token, BodyPublishers.ofFile(file)));
    System.out.println("upload " + find("\"sha256\":\"(\\w+)", whole));
    BodyPublisher stream = BodyPublishers.ofInputStream(() -> open(file));
    System.out.println("chunked " + find("\"sha256\":\"(\\w+)", text(ask("PUT", base + env("UPLOAD"), token, stream))));

    String[] leaving = env("SIGN_OUT").split(" ");
    System.out.println("signed-out " + ask(leaving[0], base + leaving[1], token, none()).statusCode());
  }

  static HttpResponse<byte[]> ask(String method, String url, String token, BodyPublisher body) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(url))
        .timeout(Duration.ofSeconds(20))
        .header("Authorization", "Bearer " + token)
        .method(method, body)
        .build();
    return client.send(request, BodyHandlers.ofByteArray());
  }

  static java.io.InputStream open(Path file) {
    try {
      return Files.newInputStream(file);
    } catch (java.io.IOException error) {
      throw new java.io.UncheckedIOException(error);
    }
  }

  static BodyPublisher none() {
    return BodyPublishers.noBody();
  }

  static String text(HttpResponse<byte[]> answer) {
    if (answer.statusCode() != 200) throw new IllegalStateException(answer + " " + new String(answer.body()));
    return new String(answer.body());
  }

  static String find(String pattern, String text) {
    Matcher found = Pattern.compile(pattern).matcher(text);
    return found.find() ? found.group(1) : null;
  }

  static String env(String name) {
    return System.getenv(name);
  }
}
