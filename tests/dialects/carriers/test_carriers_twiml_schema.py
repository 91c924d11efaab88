"""Whatever is ordered, the documents are valid by Twilio's own schema of TwiML."""

from pathlib import Path

import pytest
from carrier_orders import orders
from carrier_samples import CALL, connection
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from callmatrix.core.call.commands import CarrierOrder
from callmatrix.dialects.carriers.dialect import DIALECTS, CarrierName
from callmatrix.dialects.carriers.render import NOTHING, failsafe, render, unknown_number

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "twiml-xsd"
XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"


class LocalXml(etree.Resolver):
    """The schema imports the xml namespace from the network; here it is a file."""

    def resolve(self, system_url: str, _public_id: str, context: object) -> object:
        if system_url.endswith("xml.xsd"):
            return self.resolve_filename(str(FOLDER / "xml.xsd"), context)
        return None


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(LocalXml())
    return etree.XMLSchema(etree.parse(FOLDER / "twiml_v20100401_twilioRealtimeCallSchema.xsd", parser))


@given(carrier=st.sampled_from(sorted(DIALECTS)), given_orders=st.lists(orders(), max_size=6))
def test_any_orders_make_a_valid_document(
    schema: etree.XMLSchema, carrier: CarrierName, given_orders: list[CarrierOrder]
) -> None:
    document = render(DIALECTS[carrier], tuple(given_orders), connection=connection(carrier), call_id=CALL)
    schema.assertValid(etree.fromstring(document))


def test_the_fixed_documents_are_valid(schema: etree.XMLSchema) -> None:
    with_number = connection(failsafe_number="+14155550199")
    for document in (NOTHING, failsafe(connection()), failsafe(with_number), unknown_number()):
        schema.assertValid(etree.fromstring(document))


@pytest.mark.parametrize(
    "wrong", ["<Gather numDigit='1'/>", "<Gather><Dial>1</Dial></Gather>", "<Reject reason='away'/>"]
)
def test_the_schema_tells_wrong_from_right(schema: etree.XMLSchema, wrong: str) -> None:
    assert not schema.validate(etree.fromstring(f"<Response>{wrong}</Response>"))
