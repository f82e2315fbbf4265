"""make_places.py CITY ASN: two databases in MaxMind's format with a few documentation networks in them."""

import sys

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def city(country, name, lat, lon):
    return {
        "country": {"iso_code": country, "names": {"en": country}},
        "city": {"names": {"en": name}},
        "location": {"latitude": lat, "longitude": lon},
    }


places = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-City", float_type="f64")
places.insert_network(IPSet(["203.0.113.0/24"]), city("DE", "Berlin", 52.52, 13.405))
places.insert_network(IPSet(["198.51.100.0/24"]), city("US", "New York", 40.713, -74.006))
places.to_db_file(sys.argv[1])

networks = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-ASN", int_type="u32")
networks.insert_network(
    IPSet(["203.0.113.0/24"]),
    {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"},
)
networks.to_db_file(sys.argv[2])
