from __future__ import annotations

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.properties import read_properties

CHAIN = """<configuration><version>2</version>
<readers><reader><dll>gadgetron_core_readers</dll><classname>AcquisitionReader</classname></reader></readers>
<stream>
 <gadget><dll>gadgetron_mricore</dll><classname>NoiseAdjustGadget</classname>
  <property name="preset" value="not ours"/></gadget>
 <external><execute name="a" target="b" type="python"/>
  <configuration><property name="preset" value="fast"/></configuration></external>
 <parallel><branch><stream>
  <external><connect port="1"/>
   <configuration><property name="mask.erode" value="2"/></configuration></external>
 </stream></branch></parallel>
</stream></configuration>"""


@pytest.mark.parametrize(
    "text",
    [
        '<configuration><property name="a" value="b c"/><!-- why --></configuration>',
        "<configuration><property><name>a</name><value> b c </value></property></configuration>",
        '<c xmlns="http://gadgetron.sf.net/gadgetron"><property name="a" value="b c"/></c>',
        '<?xml version="1.0"?><c><property name="a"><value>b c</value></property></c>',
    ],
)
def test_both_ways_to_write_a_property_are_read(text):
    assert read_properties(text) == {"a": "b c"}


def test_of_a_whole_chain_only_the_external_nodes_count():
    assert read_properties(CHAIN) == {"preset": "fast", "mask.erode": "2"}


@pytest.mark.parametrize("text", ["", " \n", "<configuration/>"])
def test_no_configuration_has_no_properties(text):
    assert read_properties(text) == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<configuration>", "not valid XML"),
        ('{"parameters": {}}', "not valid XML"),
        (
            '<!DOCTYPE c [<!ENTITY a "aaaa">]><c><property name="a" value="&a;"/></c>',
            "entities",
        ),
        ('<c><property value="b"/></c>', "has no name"),
        ('<c><property name="a" value="1"/><property name="a" value="2"/></c>', "'a' two values"),
    ],
)
def test_a_configuration_that_cannot_be_understood_is_refused(text, what):
    with pytest.raises(QsmError, match=what):
        read_properties(text)


@pytest.mark.parametrize("sent", ["", " \n", '<?xml version="1.0"?>\n', "<?xml version='1.0'?>"])
def test_a_node_without_a_configuration_has_no_properties(sent):
    assert read_properties(sent) == {}
