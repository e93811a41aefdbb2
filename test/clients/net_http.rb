# Accepts gzip and deflate on its own, keeps one connection, and names the port in Host.
require 'digest'
require 'json'
require 'net/http'
require 'openssl'
require 'uri'

BASE = ENV.fetch('BASE')
at = URI(BASE)
http = Net::HTTP.new(at.host, at.port, nil)
http.use_ssl = at.scheme == 'https'
http.ca_file = ENV['CA'] if http.use_ssl?
http.read_timeout = 20
http.start

def url(name) = URI(BASE + ENV.fetch(name))

earlier = http.request(Net::HTTP::Get.new(url('LIST'), 'Authorization' => "Bearer #{ENV.fetch('EARLIER')}"))
puts "earlier #{earlier.code}"

signing_in = Net::HTTP::Post.new(url('TOKEN'))
signing_in.set_form_data('grant_type' => 'password', 'username' => 'DOMAIN\nobody', 'password' => 'n0nsense &+=%',
                         'disable_antiforgery_token' => 'true')
# What such scripts send along by habit.
signing_in.basic_auth('nobody', 'n0nsense')
signed_in = http.request(signing_in)
puts "signed-in #{signed_in.code}"
token = JSON.parse(signed_in.body).fetch('access_token')
bearer = { 'Authorization' => "Bearer #{token}" }
puts "token #{token}"

items = 0
place = url('LIST')
while place
  page = JSON.parse(http.request(Net::HTTP::Get.new(place, bearer)).body)
  items += page.fetch('results').length
  link = page.dig('_links', 'next', 'href')
  place = link && URI.join(place, link)
end
puts "items #{items}"

digest = Digest::SHA256.new
http.request(Net::HTTP::Get.new(url('DOWNLOAD'), bearer)) { |answer| answer.read_body { |part| digest << part } }
puts "download #{digest.hexdigest}"

File.open(ENV.fetch('FILE'), 'rb') do |file|
  chunked = Net::HTTP::Put.new(url('UPLOAD'), bearer.merge('Transfer-Encoding' => 'chunked'))
  chunked.body_stream = file
  puts "chunked #{JSON.parse(http.request(chunked).body).fetch('sha256')}"
end
whole = Net::HTTP::Post.new(url('UPLOAD'), bearer.merge('Content-Type' => 'application/octet-stream'))
whole.body = File.binread(ENV.fetch('FILE'))
puts "upload #{JSON.parse(http.request(whole).body).fetch('sha256')}"

method, path = ENV.fetch('SIGN_OUT').split
leaving = Net::HTTPGenericRequest.new(method, false, true, URI(BASE + path), bearer)
puts "signed-out #{http.request(leaving).code}"
